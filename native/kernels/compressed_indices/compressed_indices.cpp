#include "kernels/compressed_indices/compressed_indices.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/aminmax.h>
#include <c10/util/Exception.h>

#include "kernels/replaced.h"

namespace ld {

namespace {

c10::SafeKernelFunction* libtorchs = nullptr;

// (is_crow, compressed_idx, plain_idx, cdim, dim, nnz)
void checkedIndices(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto arguments = torch::jit::last(*stack, 6);
  const auto bounds = arguments[1].toTensor();
  const int64_t count = arguments[5].toInt();
  if (bounds.numel() > 0 && at::isIntegralType(bounds.scalar_type(), /*includeBool=*/false)) {
    const auto [least, most] = at::aminmax(bounds);
    TORCH_CHECK(least.item<int64_t>() >= 0 && most.item<int64_t>() <= count,
                "refused, because libtorch does not check it: the compressed indices must rise from 0 to the number of values, ", count);
  }
  libtorchs->callBoxed(op, keys, stack);
}

}  // namespace

void registerCompressedIndices() { libtorchs = replaceKernel<&checkedIndices>("_validate_compressed_sparse_indices", c10::DispatchKey::CPU); }

}  // namespace ld
