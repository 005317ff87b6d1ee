#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/differentiable.h"
#include "kernels/upsample_conv2d/upsample_conv2d.h"

namespace ld {

namespace {

using Optional = std::optional<at::Tensor>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forwardOperator() {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("landmark_diffusion::upsample_conv2d", "")
                             .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&)>();
  return op;
}

at::Tensor meta(const at::Tensor& x, const at::Tensor& weight, const Optional& bias) {
  return at::empty(checkUpsampleConv2d(x, weight, bias, std::nullopt), x.options(), at::MemoryFormat::ChannelsLast);
}

Conv2dGradients metaBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, std::array<bool, 3> mask) {
  const auto shape = checkUpsampleConv2d(x, weight, std::nullopt, dy);
  Conv2dGradients result;
  if (mask[0]) std::get<0>(result) = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  if (mask[1]) std::get<1>(result) = at::empty(weight.sizes(), weight.options());
  if (mask[2]) std::get<2>(result) = at::empty({shape[1]}, x.options());
  return result;
}

struct UpsampleConv2d : torch::autograd::Function<UpsampleConv2d> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const Optional& bias) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({x, weight, bias.value_or(at::Tensor())});
    return forwardOperator().call(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("landmark_diffusion::upsample_conv2d_backward", "")
                               .typed<Conv2dGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&, std::array<bool, 3>)>();
    const auto saved = context->get_saved_variables();
    const at::Tensor &dy = gradients[0], &x = saved[0], &weight = saved[1], &bias = saved[2];
    if (!dy.defined()) return variable_list(3);
    if (at::GradMode::is_enabled()) return differentiable(dy, x, weight, bias);
    const std::array<bool, 3> mask = {context->needs_input_grad(0), context->needs_input_grad(1),
                                      bias.defined() && context->needs_input_grad(2)};
    auto [dx, dweight, dbias] = op.call(dy, x, weight, mask);
    return {dx, dweight, dbias};
  }

  // Where the gradient is to be differentiated again, it is made of operators that can be.
  static variable_list differentiable(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor wide = at::upsample_nearest2d(x, {dy.size(2), dy.size(3)}, 2.0, 2.0);
    const at::Tensor y = at::convolution(wide, weight, bias, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1);
    return gradientsOf(y, {x, weight, bias}, dy);
  }
};

at::Tensor autograd(const at::Tensor& x, const at::Tensor& weight, const Optional& bias) { return UpsampleConv2d::apply(x, weight, bias); }

// As libtorch treats convolutions; repetition is exact in every precision.
template <c10::DeviceType Device>
at::Tensor autocast(const at::Tensor& x, const at::Tensor& weight, const Optional& bias) {
  const c10::impl::ExcludeDispatchKeyGuard without(at::autocast::get_autocast_dispatch_key_from_device_type(Device));
  const auto cast = [](const at::Tensor& tensor) {
    return at::autocast::cached_cast(at::autocast::get_autocast_dtype(Device), tensor, Device);
  };
  return forwardOperator().call(cast(x), cast(weight), bias && bias->defined() ? Optional(cast(*bias)) : std::nullopt);
}

}  // namespace

void registerUpsampleConv2d(torch::Library& library) {
  library.def(kUpsampleConv2dSchema);
  library.def(kUpsampleConv2dBackwardSchema);
  library.impl("upsample_conv2d", c10::DispatchKey::CompositeExplicitAutograd, &upsampleConv2d);
  library.impl("upsample_conv2d", c10::DispatchKey::Meta, &meta);
  library.impl("upsample_conv2d", c10::DispatchKey::Autograd, &autograd);
  library.impl("upsample_conv2d", c10::DispatchKey::AutocastCPU, &autocast<c10::DeviceType::CPU>);
  library.impl("upsample_conv2d", c10::DispatchKey::AutocastCUDA, &autocast<c10::DeviceType::CUDA>);
  library.impl("upsample_conv2d_backward", c10::DispatchKey::CompositeExplicitAutograd, &upsampleConv2dBackward);
  library.impl("upsample_conv2d_backward", c10::DispatchKey::Meta, &metaBackward);
  library.impl("upsample_conv2d_backward", c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
}

}  // namespace ld
