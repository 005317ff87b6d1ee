#include "kernels/upsample_conv2d/upsample_conv2d.h"

#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/upsample_nearest2d_backward.h>
#include <c10/util/Exception.h>

#include "kernels/conv2d/winograd.h"

namespace ld {

namespace {

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

// Winograd's way by phases, from as many small pixels on as it pays; else the doubled picture is made.
bool byPhases(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.size(0) * x.size(2) * x.size(3) >= 240;
}

at::Tensor doubled(const at::Tensor& x) {
  return at::upsample_nearest2d(x.contiguous(kLast), {2 * x.size(2), 2 * x.size(3)}, 2.0, 2.0);
}

}  // namespace

std::array<int64_t, 4> checkUpsampleConv2d(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                                           const std::optional<at::Tensor>& dy) {
  auto shape = checkConv2d(x, weight, bias, std::nullopt, 1, 1);
  TORCH_CHECK(weight.size(2) == 3 && weight.size(3) == 3, "the filter must be 3 x 3");
  TORCH_CHECK(!bias || !bias->defined() || bias->dim() == 1, "the bias must be of shape [", shape[1], "]");
  for (size_t dim : {2, 3}) {
    TORCH_CHECK(shape[dim] > 0 && shape[dim] < (int64_t{1} << 30), "a picture of ", shape[2], " x ", shape[3], " cannot be doubled");
    shape[dim] *= 2;
  }
  if (dy) {
    TORCH_CHECK(dy->layout() == at::kStrided && !dy->is_nested() && dy->sizes() == at::IntArrayRef(shape) &&
                    dy->scalar_type() == x.scalar_type() && dy->device() == x.device(),
                "the result's gradient must be of shape ", at::IntArrayRef(shape), " in the input's dtype and on its device");
  }
  return shape;
}

at::Tensor upsampleConv2d(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  checkUpsampleConv2d(x, weight, bias, std::nullopt);
  if (!byPhases(x)) return conv2d(doubled(x), weight, bias, std::nullopt, 1, 1);
  const at::Tensor shared = bias && bias->defined() ? bias->contiguous() : at::Tensor();
  return winograd::forward(x.contiguous(kLast), weight.contiguous(), shared, {}, false, true);
}

Conv2dGradients upsampleConv2dBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, std::array<bool, 3> mask) {
  checkUpsampleConv2d(x, weight, std::nullopt, dy);
  if (!byPhases(x)) {
    auto [dx, dweight, dbias] = conv2dBackward(dy, doubled(x), weight, 1, 1, false, mask);
    if (mask[0]) dx = at::upsample_nearest2d_backward(dx, {dy.size(2), dy.size(3)}, x.sizes(), 2.0, 2.0);
    return {dx, dweight, dbias};
  }
  const at::Tensor gradient = dy.contiguous(kLast);
  at::Tensor dx, dweight, dbias;
  if (mask[0]) dx = winograd::inputGradient(gradient, weight.contiguous(), true);
  if (mask[1]) std::tie(dweight, dbias) = winograd::weightGradients(gradient, x.contiguous(kLast), true);
  if (!mask[2]) {
    dbias = at::Tensor();
  } else {
    dbias = dbias.defined() ? dbias.sum(0) : gradient.sum({0, 2, 3});
  }
  return {dx, dweight, dbias};
}

}  // namespace ld
