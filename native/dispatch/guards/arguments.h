// How guards read the arguments of a call.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <vector>

#include "dispatch/guards.h"

namespace ld::guards {

using Stack = torch::jit::Stack;

// Undefined where the argument is none.
inline at::Tensor tensor(const Stack& stack, size_t i) { return stack.at(i).isTensor() ? stack[i].toTensor() : at::Tensor(); }

inline std::vector<int64_t> ints(const Stack& stack, size_t i) {
  return stack.at(i).isIntList() ? stack[i].toIntVector() : std::vector<int64_t>();
}

inline bool sameSizes(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() && b.defined() && a.layout() == b.layout() && a.sizes() == b.sizes();
}

// Whether the last `count` dimensions hold something; a batch before them may be empty.
inline bool filled(const at::Tensor& tensor, int64_t count) {
  const auto sizes = tensor.sizes().slice(tensor.dim() - count);
  return std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 0; });
}

inline bool strided(const at::Tensor& tensor) { return tensor.defined() && !tensor.is_nested() && tensor.layout() == at::kStrided; }

// The values of an index tensor; none where it lies on a device, whose kernels check them: to wait for them here would
// fail the capture of a graph.
inline std::vector<int64_t> valuesOf(const at::Tensor& indices) {
  if (!indices.is_cpu()) return {};
  // As kernels get them: views that are negated or have no memory are made whole first.
  const auto whole = indices._is_zerotensor() ? at::zeros(indices.sizes(), at::kLong) : indices.resolve_neg();
  const auto flat = whole.to(at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

inline bool isIndex(const at::Tensor& tensor) {
  return strided(tensor) && tensor.is_cpu() && (tensor.scalar_type() == at::kLong || tensor.scalar_type() == at::kInt);
}

// An index on the CPU, or where the data lie.
inline bool isIndexOf(const at::Tensor& data, const at::Tensor& tensor) {
  return strided(tensor) && (tensor.is_cpu() || tensor.device() == data.device()) &&
         (tensor.scalar_type() == at::kLong || tensor.scalar_type() == at::kInt);
}

// Lengths, given as a list or as a tensor.
inline std::vector<int64_t> lengths(const Stack& stack, size_t i) {
  if (!stack.at(i).isTensor()) return ints(stack, i);
  // The operators bring them to the CPU too.
  const auto given = tensor(stack, i).cpu();
  TORCH_CHECK(isIndex(given), "lengths must be of an integer dtype");
  return valuesOf(given);
}

inline std::vector<at::Tensor> tensors(const Stack& stack, size_t i) {
  return stack.at(i).isTensorList() ? stack[i].toTensorVector() : std::vector<at::Tensor>();
}

inline bool sameType(const at::Tensor& a, const at::Tensor& b) { return a.scalar_type() == b.scalar_type(); }

// Whether the tensor is absent, or strided with one dimension of `length` values.
inline bool vectorOf(const at::Tensor& tensor, int64_t length) {
  return !tensor.defined() || (strided(tensor) && tensor.dim() == 1 && tensor.size(0) == length);
}

// Each value of an index into `data` lies between 0 and `end`.
inline void within(const at::Tensor& data, const at::Tensor& indices, int64_t end, const char* what) {
  TORCH_CHECK(isIndexOf(data, indices), what, " must be strided, on the CPU or where the data lie, of int64 or int32");
  for (const int64_t value : valuesOf(indices)) {
    TORCH_CHECK(value >= 0 && value < end, what, " holds ", value, ", which is out of range for ", end);
  }
}

}  // namespace ld::guards
