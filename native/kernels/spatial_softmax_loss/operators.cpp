#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/spatial_softmax_loss/spatial_softmax_loss.h"

namespace ld {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Result = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

bool isDense(const at::Tensor& tensor) { return tensor.defined() && !tensor.is_nested() && tensor.layout() == at::kStrided; }

// For devices without a kernel of ours, by libtorch's operators.
Result composite(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask) {
  checkSpatialSoftmaxLoss(logits, target, mask);
  const at::Tensor x = logits.flatten(2).to(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor weights = mask.to(x.scalar_type()), known = weights.sum().clamp_min(1);
  const at::Tensor places = at::where(mask != 0, target, at::zeros_like(target)).unsqueeze(2);
  const at::Tensor picked = x.gather(2, places).squeeze(2), largest = x.amax(2);
  const at::Tensor exponentials = (x - largest.unsqueeze(2)).exp().sum(2), sums = largest + exponentials.log();
  const at::Tensor hot = 2 * weights - 1, squared = (x + 1).square().sum(2) + (picked - hot).square() - (picked + 1).square();
  const auto mean = [&](const at::Tensor& values) { return at::where(weights != 0, values * weights, at::zeros_like(values)).sum() / known; };
  return {mean(sums - picked), mean(squared / x.size(2)), largest, exponentials};
}

at::Tensor compositeBackward(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& logits, const at::Tensor& target,
                             const at::Tensor& mask, const at::Tensor& largest, const at::Tensor& exponentials) {
  checkSpatialSoftmaxLossBackward(dnll, dmse, logits, target, mask, largest, exponentials);
  const at::Tensor x = logits.flatten(2).to(largest.scalar_type());
  const at::Tensor weights = mask.to(x.scalar_type()) / mask.sum().clamp_min(1), p = (weights * dnll).unsqueeze(2);
  const at::Tensor q = (weights * dmse * (2.0 / static_cast<double>(x.size(2)))).unsqueeze(2);
  at::Tensor dx = p / exponentials.unsqueeze(2) * (x - largest.unsqueeze(2)).exp() + q * (x + 1);
  // At the target: 1 less of the softmax, and 2 m - 1 in the place of -1.
  const at::Tensor places = at::where(mask != 0, target, at::zeros_like(target)).unsqueeze(2);
  dx.scatter_add_(2, places, -p - q * 2 * mask.to(x.scalar_type()).unsqueeze(2));
  return dx.reshape(logits.sizes()).to(logits.scalar_type()).contiguous(logits.suggest_memory_format());
}

Result meta(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask) {
  checkSpatialSoftmaxLoss(logits, target, mask);
  const auto options = logits.options().dtype(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const auto each = [&](at::IntArrayRef shape) { return at::empty(shape, options); };
  return {each({}), each({}), each(target.sizes()), each(target.sizes())};
}

at::Tensor metaBackward(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& logits, const at::Tensor& target,
                        const at::Tensor& mask, const at::Tensor& largest, const at::Tensor& exponentials) {
  checkSpatialSoftmaxLossBackward(dnll, dmse, logits, target, mask, largest, exponentials);
  const bool last = !logits.is_contiguous() && logits.is_contiguous(at::MemoryFormat::ChannelsLast);
  return at::empty(logits.sizes(), logits.options(), last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

struct SpatialSoftmaxLoss : torch::autograd::Function<SpatialSoftmaxLoss> {
  static variable_list forward(AutogradContext* context, const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("landmark_diffusion::spatial_softmax_loss", "")
                               .typed<Result(const at::Tensor&, const at::Tensor&, const at::Tensor&)>();
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [nll, mse, largest, exponentials] = op.call(logits, target, mask);
    context->save_for_backward({logits, target, mask, largest, exponentials});
    context->mark_non_differentiable({largest, exponentials});
    return {nll, mse, largest, exponentials};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("landmark_diffusion::spatial_softmax_loss_backward", "")
                               .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                 const at::Tensor&, const at::Tensor&, const at::Tensor&)>();
    const auto saved = context->get_saved_variables();
    const auto orZero = [&](const at::Tensor& gradient) { return gradient.defined() ? gradient : at::empty({}, saved[3].options()).zero_(); };
    return {op.call(orZero(gradients[0]), orZero(gradients[1]), saved[0], saved[1], saved[2], saved[3], saved[4]), {}, {}};
  }
};

Result autograd(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask) {
  const auto result = SpatialSoftmaxLoss::apply(logits, target, mask);
  return {result[0], result[1], result[2], result[3]};
}

}  // namespace

void checkSpatialSoftmaxLoss(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask) {
  TORCH_CHECK(isDense(logits) && logits.dim() == 4 && at::isFloatingType(logits.scalar_type()) && logits.element_size() >= 2,
              "the logits must be floats of shape [B, N, H, W]");
  TORCH_CHECK(logits.size(2) > 0 && logits.size(3) > 0, "the logits have no pixel");
  const at::IntArrayRef points = logits.sizes().slice(0, 2);
  TORCH_CHECK(isDense(target) && target.sizes() == points && target.scalar_type() == at::kLong, "target must be int64 of shape ", points);
  TORCH_CHECK(isDense(mask) && mask.sizes() == points && mask.scalar_type() == at::kFloat, "mask must be float32 of shape ", points);
  TORCH_CHECK(target.device() == logits.device() && mask.device() == logits.device(), "logits, target and mask must be on one device");
}

void checkSpatialSoftmaxLossBackward(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& logits, const at::Tensor& target,
                                     const at::Tensor& mask, const at::Tensor& largest, const at::Tensor& exponentials) {
  checkSpatialSoftmaxLoss(logits, target, mask);
  const auto dtype = logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const at::Tensor& each : {largest, exponentials}) {
    TORCH_CHECK(isDense(each) && each.sizes() == target.sizes() && each.scalar_type() == dtype && each.device() == logits.device(),
                "largest and exponentials must be ", dtype, " of shape ", target.sizes());
  }
  for (const at::Tensor& each : {dnll, dmse}) {
    TORCH_CHECK(isDense(each) && each.dim() == 0 && each.scalar_type() == dtype && each.device() == logits.device(),
                "dnll and dmse must be single numbers (0-dim) of dtype ", dtype);
  }
}

void registerSpatialSoftmaxLoss(torch::Library& library) {
  library.def(kSpatialSoftmaxLossSchema);
  library.def(kSpatialSoftmaxLossBackwardSchema);
  library.impl("spatial_softmax_loss", c10::DispatchKey::CompositeExplicitAutograd, &composite);
  library.impl("spatial_softmax_loss_backward", c10::DispatchKey::CompositeExplicitAutograd, &compositeBackward);
  library.impl("spatial_softmax_loss", c10::DispatchKey::CPU, &spatialSoftmaxLossCpu);
  library.impl("spatial_softmax_loss", c10::DispatchKey::Meta, &meta);
  library.impl("spatial_softmax_loss", c10::DispatchKey::Autograd, &autograd);
  library.impl("spatial_softmax_loss_backward", c10::DispatchKey::CPU, &spatialSoftmaxLossBackwardCpu);
  library.impl("spatial_softmax_loss_backward", c10::DispatchKey::Meta, &metaBackward);
  library.impl("spatial_softmax_loss_backward", c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
}

}  // namespace ld
