#include "kernels/conv2d/conv2d.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <c10/util/Exception.h>

#include "kernels/conv2d/product.h"
#include "kernels/conv2d/unfold.h"
#include "kernels/conv2d/winograd.h"

namespace ld {

namespace {

using Optional = std::optional<at::Tensor>;

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

bool isDense(const at::Tensor& tensor) { return tensor.defined() && !tensor.is_nested() && tensor.layout() == at::kStrided; }

enum class Way {
  Nothing,    // an image without pixels: padding alone
  Winograd,   // transforms of weights pay from a hundred pixels on
  Product,    // 1x1: pixels times weights
  Unfolded,   // few pixels, so that reading the weights once is all there is to it
  Contiguous, // libtorch's, which reorders the weights for channels_last input: dearer than reordering few pixels
  Last        // libtorch's
};

Way wayOf(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding) {
  if (x.numel() == 0) return Way::Nothing;
  if (!x.is_cpu() || x.scalar_type() != at::kFloat) return Way::Last;
  const int64_t pixels = x.size(0) * x.size(2) * x.size(3), side = weight.size(2);
  const bool square = side == weight.size(3);
  if (square && side == 1 && stride == 1 && padding == 0) return Way::Product;
  if (square && side == 3 && stride == 1 && padding == 1) {
    if (pixels >= 100) return Way::Winograd;
    if (pixels <= 64 && x.size(0) == 1) return Way::Unfolded;
  }
  return pixels < 2000 ? Way::Contiguous : Way::Last;
}

// [pixels, channels] of a tensor in channels_last.
at::Tensor rows(const at::Tensor& x) { return x.permute({0, 2, 3, 1}).reshape({-1, x.size(1)}); }

// The picture of such rows.
at::Tensor picture(const at::Tensor& rows, at::IntArrayRef shape) {
  return rows.reshape({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2});
}

at::Tensor flat(const at::Tensor& weight) { return weight.reshape({weight.size(0), -1}); }

at::Tensor plain(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, int64_t stride, int64_t padding) {
  return at::convolution(x, weight, bias, {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1);
}

at::Tensor perImage(const at::Tensor& bias) { return bias.reshape({bias.size(0), bias.size(1), 1, 1}); }

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual, int64_t stride,
                    int64_t padding, bool keep) {
  const auto shape = checkConv2d(x, weight, bias, residual, stride, padding);
  const bool hasBias = bias && bias->defined(), each = hasBias && bias->dim() == 2;
  bool add = residual && residual->defined();
  const at::Tensor shared = hasBias && !each ? *bias : at::Tensor();
  at::Tensor y;
  switch (wayOf(x, weight, stride, padding)) {
    case Way::Nothing:
      y = at::empty(shape, x.options(), kLast).zero_();
      if (shared.defined()) y.add_(shared.reshape({1, -1, 1, 1}));
      break;
    case Way::Winograd:
      return winograd::forward(x.contiguous(kLast), weight.contiguous(), hasBias ? bias->contiguous() : at::Tensor(),
                               add ? residual->contiguous(kLast) : at::Tensor(), keep);
    case Way::Product: {
      const at::Tensor pixels = rows(x.contiguous(kLast)), factor = flat(weight).t();
      y = picture(product(pixels, factor, shared, add ? rows(*residual) : at::Tensor()), shape);
      add = false;
      break;
    }
    case Way::Unfolded:
      y = product(flat(weight), unfold3x3(x)).reshape(shape).contiguous(kLast);
      if (shared.defined()) y.add_(shared.reshape({1, -1, 1, 1}));
      break;
    case Way::Contiguous:
      y = plain(x.contiguous(), weight, shared.defined() ? Optional(shared) : std::nullopt, stride, padding).contiguous(kLast);
      break;
    case Way::Last:
      y = plain(x.contiguous(kLast), weight, shared.defined() ? Optional(shared) : std::nullopt, stride, padding).contiguous(kLast);
      break;
  }
  if (each) y.add_(perImage(*bias));
  if (add) y.add_(*residual);
  return y;
}

}  // namespace

std::array<int64_t, 4> checkConv2d(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual,
                                   int64_t stride, int64_t padding) {
  TORCH_CHECK(isDense(x) && x.dim() == 4 && at::isFloatingType(x.scalar_type()), "the input must be floats of shape [N, C, H, W]");
  TORCH_CHECK(isDense(weight) && weight.dim() == 4 && weight.scalar_type() == x.scalar_type() && weight.device() == x.device(),
              "the weight must be of shape [K, C, h, w] in the input's dtype and on its device");
  TORCH_CHECK(weight.size(1) == x.size(1) && weight.size(0) > 0 && x.size(1) > 0, "the weight is for ", weight.size(1),
              " channels, the input has ", x.size(1));
  TORCH_CHECK(weight.size(2) > 0 && weight.size(3) > 0, "the filter is empty");
  TORCH_CHECK(stride > 0 && stride < (int64_t{1} << 31) && padding >= 0 && padding < (int64_t{1} << 31),
              "stride must be positive and padding not negative");
  const auto size = [&](int64_t dim) {
    TORCH_CHECK(x.size(dim) + 2 * padding >= weight.size(dim), "the filter is larger than the padded input");
    return (x.size(dim) + 2 * padding - weight.size(dim)) / stride + 1;
  };
  const std::array<int64_t, 4> shape = {x.size(0), weight.size(0), size(2), size(3)};
  const auto fits = [&](const at::Tensor& tensor) {
    return isDense(tensor) && tensor.scalar_type() == x.scalar_type() && tensor.device() == x.device();
  };
  if (bias && bias->defined()) {
    TORCH_CHECK(fits(*bias) && (bias->sizes() == at::IntArrayRef({shape[1]}) || bias->sizes() == at::IntArrayRef({shape[0], shape[1]})),
                "the bias must be of shape [", shape[1], "] or [", shape[0], ", ", shape[1], "] in the input's dtype and on its device");
  }
  if (residual && residual->defined()) {
    TORCH_CHECK(fits(*residual) && residual->sizes() == at::IntArrayRef(shape), "the residual must have the shape of the result, ",
                at::IntArrayRef(shape), ", and the input's dtype and device");
  }
  return shape;
}

at::Tensor conv2d(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual, int64_t stride,
                  int64_t padding) {
  return convolve(x, weight, bias, residual, stride, padding, false);
}

at::Tensor conv2dPrepared(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, const Optional& residual, int64_t stride,
                          int64_t padding) {
  return convolve(x, weight, bias, residual, stride, padding, weight.is_contiguous());
}

Conv2dGradients conv2dBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding,
                               bool biasPerImage, std::array<bool, 3> mask) {
  const auto shape = checkConv2d(x, weight, std::nullopt, dy, stride, padding);
  at::Tensor dx, dweight, dbias;
  const at::Tensor gradient = dy.contiguous(kLast);
  const Way way = wayOf(x, weight, stride, padding);
  switch (way) {
    case Way::Nothing:
      if (mask[0]) dx = at::empty_like(x);
      if (mask[1]) dweight = at::empty(weight.sizes(), weight.options()).zero_();
      break;
    case Way::Winograd:
      if (mask[0]) dx = winograd::inputGradient(gradient, weight.contiguous());
      if (mask[1]) std::tie(dweight, dbias) = winograd::weightGradients(gradient, x.contiguous(kLast));
      break;
    case Way::Product: {
      const at::Tensor pixels = rows(gradient);
      if (mask[0]) dx = picture(product(pixels, flat(weight)), x.sizes());
      if (mask[1]) dweight = at::mm(pixels.t(), rows(x.contiguous(kLast))).reshape(weight.sizes());
      break;
    }
    case Way::Unfolded: {
      const at::Tensor pixels = gradient.contiguous().reshape({shape[1], -1});
      if (mask[0]) {
        const at::Tensor columns = product(flat(weight).t(), pixels);
        dx = fold3x3(columns, x.size(2), x.size(3)).contiguous(kLast);
      }
      if (mask[1]) dweight = product(pixels, unfold3x3(x).t()).reshape(weight.sizes());
      break;
    }
    case Way::Contiguous:
    case Way::Last: {
      const auto format = way == Way::Last ? kLast : at::MemoryFormat::Contiguous;
      const std::array<bool, 3> wanted = {mask[0], mask[1], false};
      std::tie(dx, dweight, std::ignore) =
          at::convolution_backward(gradient.contiguous(format), x.contiguous(format), weight, at::OptionalIntArrayRef(), {stride, stride},
                                   {padding, padding}, {1, 1}, false, {0, 0}, 1, wanted);
      if (mask[0]) dx = dx.contiguous(kLast);
      if (mask[1]) dweight = dweight.contiguous();
      break;
    }
  }
  if (!mask[2]) {
    dbias = at::Tensor();
  } else if (!dbias.defined()) {
    dbias = biasPerImage ? gradient.sum({2, 3}) : gradient.sum({0, 2, 3});
  } else if (!biasPerImage) {
    dbias = dbias.size(0) == 1 ? dbias[0] : dbias.sum(0);
  }
  return {dx, dweight, dbias};
}

}  // namespace ld
