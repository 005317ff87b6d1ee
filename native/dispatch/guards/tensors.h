// Whether tensors are what they say they are. Views by raw strides, storages made smaller and sparse indices written
// in place can make one that names memory which it does not have; libtorch checks none of this where it computes.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/stack.h>

namespace ld::guards {

// Throws c10::Error for a tensor among the arguments that reaches out of its storage, or whose sparse indices reach
// out of its shape, or that is a list's element and holds nothing, or that is oneDNN's where `oneDnn` says that none may be.
void checkTensors(const torch::jit::Stack& arguments, bool oneDnn);
void checkTensor(const at::Tensor& tensor, bool oneDnn = true);

// Whether a strided tensor has less memory than elements, as an expanded one. Kernels that fill their result from its first
// element on would write past it.
bool overlapsItself(const at::Tensor& tensor);

}  // namespace ld::guards
