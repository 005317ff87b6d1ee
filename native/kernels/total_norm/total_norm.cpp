#include "kernels/total_norm/total_norm.h"

#include <ATen/Operators.h>
#include <ATen/ops/zeros.h>

namespace ld {

at::Tensor totalNorm(at::TensorList tensors) {
  if (tensors.empty()) return at::zeros({});
  const std::vector<at::Tensor> norms = at::_ops::_foreach_norm_Scalar::call(tensors, 2, std::nullopt);
  return at::_ops::linalg_vector_norm::call(at::_ops::stack::call(norms, 0), 2, at::OptionalIntArrayRef(), false, std::nullopt);
}

}  // namespace ld
