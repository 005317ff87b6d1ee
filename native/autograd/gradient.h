// Gradients whose shape, strides and need of further gradients are as JavaScript assumed when it made
// their handles, before the pass ran.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

// Makes `tensor` the result of an unknown operation on nothing: it requires a gradient, is no leaf, and a
// backward pass ends there. For what JavaScript had to take for differentiable and is constant.
void giveHistory(const at::Tensor& tensor);

// `gradient` with the layout of PyTorch's contract for `.grad`: the strides of `variable` where it is
// dense, else contiguous. Itself where it is so already; recorded where gradients are.
at::Tensor layOut(const at::Tensor& gradient, const at::Tensor& variable);

}  // namespace ld
