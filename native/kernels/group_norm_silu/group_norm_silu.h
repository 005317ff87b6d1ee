// Group norm (Wu and He 2018), alone and followed by SiLU, forward and backward in two passes over memory each, in
// either memory format. libtorch's own backward copies channels_last input to the other format and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <tuple>

namespace torch {
class Library;
}

namespace ld {

// x: [N, C, ...] in a real floating dtype, num_groups divides C; weight and bias [C] or none, in x's dtype or float32.
// mean and rstd: [N, groups], float32 (float64 for float64 x). y has x's dtype and memory format.
using GroupNormResult = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

GroupNormResult groupNormCpu(const at::Tensor& x, const std::optional<at::Tensor>& weight,
                             const std::optional<at::Tensor>& bias, int64_t groups, double eps, bool silu);

// dx, dweight, dbias; an undefined tensor where the mask says that it is not wanted.
GroupNormResult groupNormBackwardCpu(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean,
                                     const at::Tensor& rstd, const std::optional<at::Tensor>& weight,
                                     const std::optional<at::Tensor>& bias, int64_t groups, std::array<bool, 3> mask,
                                     bool silu);

// What every backend asks of its arguments; these operators are open to any caller.
void checkGroupNorm(const at::Tensor& x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                    int64_t groups, double eps);
void checkGroupNormBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean, const at::Tensor& rstd,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            int64_t groups);

// Defines group_norm, group_norm_silu and their backward operators, for the CPU, Meta and autograd.
void registerGroupNorm(torch::Library& library);

}  // namespace ld
