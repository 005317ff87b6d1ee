// A picture doubled by repetition (nearest neighbours), then a 3x3 convolution with padding 1: in one, so that the doubled
// picture is neither made nor kept for the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

#include "kernels/conv2d/conv2d.h"

namespace ld {

// x: [N, C, H, W] (any strides), weight: [K, C, 3, 3], bias: [K], of one float dtype -> [N, K, 2H, 2W] in channels_last.
inline constexpr auto kUpsampleConv2dSchema = "upsample_conv2d(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor";

inline constexpr auto kUpsampleConv2dBackwardSchema =
    "upsample_conv2d_backward(Tensor dy, Tensor x, Tensor weight, bool[3] output_mask) -> (Tensor dx, Tensor dweight, Tensor dbias)";

// What every backend asks of its arguments; gives the shape of the result.
std::array<int64_t, 4> checkUpsampleConv2d(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                                           const std::optional<at::Tensor>& dy);

at::Tensor upsampleConv2d(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias);
Conv2dGradients upsampleConv2dBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, std::array<bool, 3> mask);

void registerUpsampleConv2d(torch::Library& library);

}  // namespace ld
