// What 3x3 filters with padding 1 see of one image, as a matrix, and back. libtorch's im2col and col2im do the same for all
// filters, several times slower.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

// x: float32 [1, C, H, W] -> [C * 9, H * W], zero outside of the image.
at::Tensor unfold3x3(const at::Tensor& x);

// Its transpose: columns [C * 9, H * W] added up -> [1, C, H, W].
at::Tensor fold3x3(const at::Tensor& columns, int64_t height, int64_t width);

}  // namespace ld
