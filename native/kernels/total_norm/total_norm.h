// The Euclidean norm over all elements of many tensors. One operator, since lists from which absent gradients are dropped
// (record::SkipUndefined) must come to one.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

inline constexpr auto kTotalNormSchema = "total_norm(Tensor[] tensors) -> Tensor";

// A 0-dim tensor; of no tensors, 0.
at::Tensor totalNorm(at::TensorList tensors);

}  // namespace ld
