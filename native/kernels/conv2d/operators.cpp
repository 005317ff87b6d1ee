#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/conv2d/conv2d.h"
#include "kernels/differentiable.h"

namespace ld {

namespace {

using Optional = std::optional<at::Tensor>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Signature = at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&, const Optional&, int64_t, int64_t);

const auto& forwardOperator() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("landmark_diffusion::conv2d", "").typed<Signature>();
  return op;
}

at::Tensor meta(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual, int64_t stride,
                int64_t padding) {
  return at::empty(checkConv2d(x, weight, bias, residual, stride, padding), x.options(), at::MemoryFormat::ChannelsLast);
}

Conv2dGradients metaBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding,
                             bool biasPerImage, std::array<bool, 3> mask) {
  const auto shape = checkConv2d(x, weight, std::nullopt, dy, stride, padding);
  Conv2dGradients result;
  if (mask[0]) std::get<0>(result) = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  if (mask[1]) std::get<1>(result) = at::empty(weight.sizes(), weight.options());
  if (mask[2]) {
    std::get<2>(result) = biasPerImage ? at::empty({shape[0], shape[1]}, x.options()) : at::empty({shape[1]}, x.options());
  }
  return result;
}

struct Conv2d : torch::autograd::Function<Conv2d> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const Optional& bias,
                            const Optional& residual, int64_t stride, int64_t padding) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({x, weight, bias.value_or(at::Tensor())});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["residual"] = residual && residual->defined();
    return forwardOperator().call(x, weight, bias, residual, stride, padding);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("landmark_diffusion::conv2d_backward", "")
                               .typed<Conv2dGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&, int64_t, int64_t, bool,
                                                      std::array<bool, 3>)>();
    const auto saved = context->get_saved_variables();
    const at::Tensor &dy = gradients[0], &x = saved[0], &weight = saved[1], &bias = saved[2];
    if (!dy.defined()) return variable_list(6);
    const int64_t stride = context->saved_data["stride"].toInt(), padding = context->saved_data["padding"].toInt();
    const at::Tensor dresidual = context->saved_data["residual"].toBool() ? dy : at::Tensor();
    if (at::GradMode::is_enabled()) return differentiable(dy, x, weight, bias, dresidual, stride, padding);
    const std::array<bool, 3> mask = {context->needs_input_grad(0), context->needs_input_grad(1),
                                      bias.defined() && context->needs_input_grad(2)};
    auto [dx, dweight, dbias] = op.call(dy, x, weight, stride, padding, bias.defined() && bias.dim() == 2, mask);
    return {dx, dweight, dbias, dresidual, {}, {}};
  }

  // Where the gradient is to be differentiated again, it is made of operators that can be.
  static variable_list differentiable(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                      const at::Tensor& dresidual, int64_t stride, int64_t padding) {
    at::Tensor y = at::convolution(x, weight, {}, {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1);
    if (bias.defined()) y = y + bias.reshape({bias.dim() == 2 ? bias.size(0) : 1, -1, 1, 1});
    variable_list result = gradientsOf(y, {x, weight, bias, {}, {}, {}}, dy);
    result[3] = dresidual;
    return result;
  }
};

at::Tensor autograd(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual, int64_t stride,
                    int64_t padding) {
  return Conv2d::apply(x, weight, bias, residual, stride, padding);
}

// As libtorch treats its own convolutions.
template <c10::DeviceType Device>
at::Tensor autocast(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual, int64_t stride,
                    int64_t padding) {
  const c10::impl::ExcludeDispatchKeyGuard without(at::autocast::get_autocast_dispatch_key_from_device_type(Device));
  const auto dtype = at::autocast::get_autocast_dtype(Device);
  const auto cast = [&](const Optional& tensor) {
    return tensor && tensor->defined() ? Optional(at::autocast::cached_cast(dtype, *tensor, Device)) : std::nullopt;
  };
  return forwardOperator().call(*cast(x), *cast(weight), cast(bias), cast(residual), stride, padding);
}

}  // namespace

void registerConv2d(torch::Library& library) {
  library.def(kConv2dSchema);
  library.def(kConv2dPreparedSchema);
  library.def(kConv2dBackwardSchema);
  library.impl("conv2d", c10::DispatchKey::CompositeExplicitAutograd, &conv2d);
  library.impl("conv2d", c10::DispatchKey::Meta, &meta);
  library.impl("conv2d", c10::DispatchKey::Autograd, &autograd);
  library.impl("conv2d", c10::DispatchKey::AutocastCPU, &autocast<c10::DeviceType::CPU>);
  library.impl("conv2d", c10::DispatchKey::AutocastCUDA, &autocast<c10::DeviceType::CUDA>);
  library.impl("conv2d_prepared", c10::DispatchKey::CompositeExplicitAutograd, &conv2dPrepared);
  library.impl("conv2d_prepared", c10::DispatchKey::Meta, &meta);
  library.impl("conv2d_prepared", c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
  library.impl("conv2d_backward", c10::DispatchKey::CompositeExplicitAutograd, &conv2dBackward);
  library.impl("conv2d_backward", c10::DispatchKey::Meta, &metaBackward);
  library.impl("conv2d_backward", c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
}

}  // namespace ld
