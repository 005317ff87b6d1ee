// Group norm (Wu and He 2018), alone and followed by SiLU, forward and backward in two passes over memory each, in
// either memory format. libtorch's own backward copies channels_last input to the other format and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <tuple>
#include <vector>

namespace torch {
class Library;
}

namespace ld {

// x: [N, C, ...] in a real floating dtype, num_groups divides C; weight and bias [C] or none, in x's dtype or float32.
// mean and rstd: [N, groups], float32 (float64 for float64 x). y has x's dtype and memory format.
using GroupNormResult = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

// Of one tensor, or of several whose channels follow one another, which spares joining them: a group may lie in two. For
// several, `groupNormReadsTogether` must hold.
GroupNormResult groupNormCpu(at::TensorList x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                             int64_t groups, double eps, bool silu);

// Nothing, or undefined tensors, where the mask says that they are not wanted.
struct GroupNormGradients {
  std::vector<at::Tensor> x;
  at::Tensor weight, bias;
};

GroupNormGradients groupNormBackwardCpu(const at::Tensor& dy, at::TensorList x, const at::Tensor& mean, const at::Tensor& rstd,
                                        const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                                        int64_t groups, std::array<bool, 3> mask, bool silu);

// Whether all are in channels_last.
bool groupNormReadsTogether(at::TensorList x);

// What every backend asks of its arguments; these operators are open to any caller. Gives the shape of the result.
std::vector<int64_t> checkGroupNorm(at::TensorList x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                                    int64_t groups, double eps);
void checkGroupNormBackward(const at::Tensor& dy, at::TensorList x, const at::Tensor& mean, const at::Tensor& rstd,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias, int64_t groups);

// Defines group_norm, group_norm_silu, joined_group_norm_silu and their backward operators, for the CPU, Meta and autograd.
void registerGroupNorm(torch::Library& library);

}  // namespace ld
