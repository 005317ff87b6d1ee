// Matrix products on the CPU with the loops of vector.h: libtorch's own come from a library that is slow on processors of
// other makers.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

// a [m, k] times b [k, n], float32 with any strides, plus bias [n] and residual [m, n], where they are defined -> [m, n].
at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {}, const at::Tensor& residual = {});

}  // namespace ld
