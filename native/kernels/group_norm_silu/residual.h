// Operators around group norm that only GPUs have a kernel for.
#pragma once

namespace ld {

// y = x + residual + bias, and the statistics of y: the end of a residual block and the beginning of the next norm.
// x, residual: [N, C, ...] in float32 or bfloat16; bias [C] or none; mean and rstd [N, groups] in float32.
inline constexpr auto kResidualStatisticsSchema =
    "residual_statistics(Tensor x, Tensor residual, Tensor? bias, int num_groups, float eps) -> "
    "(Tensor y, Tensor mean, Tensor rstd)";

}  // namespace ld
