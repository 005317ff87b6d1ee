// A 2-D convolution with bias and residual for images in channels_last, by whichever way is the fastest here: Winograd's
// for 3x3 filters on many pixels, matrix products for 1x1 filters and for few pixels, libtorch's own for everything else.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <tuple>

namespace torch {
class Library;
}

namespace ld {

// x: [N, C, H, W] (any strides), weight: [K, C, h, w], both of one float dtype; bias: [K], or [N, K] for one per image (a
// time embedding, say); residual: of the result's shape, added to it. The result is channels_last.
inline constexpr auto kConv2dSchema =
    "conv2d(Tensor x, Tensor weight, Tensor? bias=None, Tensor? residual=None, int stride=1, int padding=0) -> Tensor";

// The same to the last bit, for weights that seldom change: keeps what it makes of them (prepared.h). Without gradients.
inline constexpr auto kConv2dPreparedSchema =
    "conv2d_prepared(Tensor x, Tensor weight, Tensor? bias=None, Tensor? residual=None, int stride=1, int padding=0) -> Tensor";

// dbias is [K], or [N, K] with bias_per_image. The residual's gradient is dy.
inline constexpr auto kConv2dBackwardSchema =
    "conv2d_backward(Tensor dy, Tensor x, Tensor weight, int stride, int padding, bool bias_per_image, bool[3] output_mask) -> "
    "(Tensor dx, Tensor dweight, Tensor dbias)";

// What every backend asks of its arguments; gives the shape of the result.
std::array<int64_t, 4> checkConv2d(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                                   const std::optional<at::Tensor>& residual, int64_t stride, int64_t padding);

using Conv2dGradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

// For every device: on others than the CPU, libtorch's convolution.
at::Tensor conv2d(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                  const std::optional<at::Tensor>& residual, int64_t stride, int64_t padding);
at::Tensor conv2dPrepared(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                          const std::optional<at::Tensor>& residual, int64_t stride, int64_t padding);
Conv2dGradients conv2dBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding,
                               bool biasPerImage, std::array<bool, 3> mask);

void registerConv2d(torch::Library& library);

}  // namespace ld
