// 3x3 convolutions of stride 1 and padding 1 by Winograd's way on the CPU: see vector.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>

namespace ld::winograd {

// All take `doubled`: x is doubled by repetition before it is convolved, without being made; y and dy are then [N, K, 2H, 2W].

// x: float32 [N, C, H, W] in channels_last, weight: float32 [K, C, 3, 3] contiguous -> [N, K, H, W] in channels_last.
// bias: float32 [K] or [N, K], contiguous; residual as the result; both may be undefined.
// `keep`: the transformed weights are kept for the next call, where that is faster (prepared.h).
at::Tensor forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual, bool keep,
                   bool doubled = false);

// dy in channels_last -> the gradient of x.
at::Tensor inputGradient(const at::Tensor& dy, const at::Tensor& weight, bool doubled = false);

// The gradients of weight, contiguous, and of a bias per image [N, K].
std::tuple<at::Tensor, at::Tensor> weightGradients(const at::Tensor& dy, const at::Tensor& x, bool doubled = false);

}  // namespace ld::winograd
