#include "dispatch/guards/tensors.h"

#include <ATen/NestedTensorImpl.h>
#include <ATen/SparseCsrTensorImpl.h>
#include <ATen/SparseCsrTensorUtils.h>
#include <ATen/SparseTensorImpl.h>
#include <ATen/ops/_validate_sparse_compressed_tensor_args.h>
#include <ATen/ops/_validate_sparse_coo_tensor_args.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/Exception.h>

#include <optional>

namespace ld::guards {

namespace {

// Strides of expanded and huge tensors multiply to more than 64 bits.
using Wide = __int128;

Wide extent(at::IntArrayRef sizes, at::IntArrayRef strides) {
  Wide elements = 1;
  for (size_t i = 0; i < sizes.size(); ++i) elements += static_cast<Wide>(sizes[i] - 1) * strides[i];
  return elements;
}

bool within(const at::Tensor& tensor) {
  const auto* const impl = tensor.unsafeGetTensorImpl();
  const int64_t numel = impl->numel();
  if (numel == 0) return true;
  const Wide elements = impl->is_contiguous() ? Wide{numel} : extent(impl->sizes(), impl->strides());
  return (impl->storage_offset() + elements) * static_cast<Wide>(impl->itemsize()) <= static_cast<Wide>(impl->unsafe_storage().nbytes());
}

// Several elements share a byte.
bool isSmallerThanByte(at::ScalarType type) { return type == at::kQUInt4x2 || type == at::kQUInt2x4; }

void checkNested(const at::Tensor& tensor) {
  const auto* const impl = at::native::get_nested_tensor_impl(tensor);
  const auto sizes = impl->get_nested_sizes(), strides = impl->get_nested_strides(), offsets = impl->get_storage_offsets();
  const int64_t rows = sizes.dim() == 2 ? sizes.size(0) : 0, rank = sizes.dim() == 2 ? sizes.size(1) : 0;
  TORCH_CHECK(sizes.is_contiguous() && strides.is_contiguous() && strides.sizes() == sizes.sizes() && offsets.numel() == rows,
              "the sizes, strides and offsets of a nested tensor do not belong together");
  const auto elements = static_cast<Wide>(impl->unsafe_storage().nbytes() / impl->itemsize());
  for (int64_t row = 0; row < rows; ++row) {
    const at::IntArrayRef size(sizes.const_data_ptr<int64_t>() + row * rank, rank);
    const at::IntArrayRef stride(strides.const_data_ptr<int64_t>() + row * rank, rank);
    const int64_t offset = offsets.const_data_ptr<int64_t>()[row];
    bool valid = offset >= 0, empty = false;
    for (int64_t i = 0; i < rank; ++i) {
      valid &= size[i] >= 0 && stride[i] >= 0;
      empty |= size[i] == 0;
    }
    TORCH_CHECK(valid && (empty || offset + extent(size, stride) <= elements), "row ", row, " of a nested tensor reaches out of its storage");
  }
}

void checkSparse(const at::Tensor& tensor) {
  // The indices are looked at as they are, without a history.
  const c10::impl::ExcludeDispatchKeyGuard plain(c10::autograd_dispatch_keyset_with_ADInplaceOrView);
  if (tensor.layout() == at::kSparse) {
    const auto* const impl = static_cast<const at::SparseTensorImpl*>(tensor.unsafeGetTensorImpl());
    at::_validate_sparse_coo_tensor_args(impl->indices(), impl->values(), impl->sizes(), impl->coalesced());
  } else if (at::sparse_csr::is_sparse_compressed(tensor)) {
    const auto* const impl = static_cast<const at::SparseCsrTensorImpl*>(tensor.unsafeGetTensorImpl());
    at::_validate_sparse_compressed_tensor_args(impl->compressed_indices(), impl->plain_indices(), impl->values(), impl->sizes(), impl->layout());
  }
}

enum class Kind { Nested, Quantized, OneDnn, Sparse };

// What makes a tensor another than a plain one.
std::optional<Kind> kindOf(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  if (tensor.is_nested()) return Kind::Nested;
  if (tensor.is_mkldnn()) return Kind::OneDnn;
  if (tensor.layout() != at::kStrided) return Kind::Sparse;
  if (tensor.is_quantized()) return Kind::Quantized;
  return {};
}

}  // namespace

void checkTensor(const at::Tensor& tensor, bool oneDnn) {
  // An absent optional tensor.
  if (!tensor.defined() || tensor.is_meta()) return;
  if (tensor.is_nested()) {
    if (tensor.layout() == at::kStrided) checkNested(tensor);
  } else if (tensor.layout() != at::kStrided) {
    TORCH_CHECK(oneDnn || !tensor.is_mkldnn(), "refused, because libtorch does not check it: the operator has no kernel for oneDNN tensors; take to_dense()");
    checkSparse(tensor);
  } else if (tensor.has_storage() && !tensor._is_zerotensor() && !isSmallerThanByte(tensor.scalar_type())) {
    TORCH_CHECK(within(tensor), "a tensor of shape ", tensor.sizes(), " and strides ", tensor.strides(), " reaches out of its storage of ",
                tensor.unsafeGetTensorImpl()->unsafe_storage().nbytes(), " bytes");
  }
}

bool overlapsItself(const at::Tensor& tensor) {
  const auto* const impl = tensor.unsafeGetTensorImpl();
  if (impl->is_contiguous() || impl->numel() == 0) return false;
  return extent(impl->sizes(), impl->strides()) < Wide{impl->numel()};
}

void checkTensors(const torch::jit::Stack& arguments, bool oneDnn) {
  std::optional<Kind> kind;
  const auto check = [&](const at::Tensor& tensor) {
    checkTensor(tensor, oneDnn);
    const auto own = kindOf(tensor);
    if (!own) return;
    TORCH_CHECK(!kind || *kind == *own, "refused, because libtorch does not check it: tensors that are nested, quantized, sparse and oneDNN's do not go together");
    kind = own;
  };
  for (const c10::IValue& argument : arguments) {
    if (argument.isTensor()) {
      check(argument.toTensor());
    } else if (argument.isList()) {
      for (const c10::IValue& element : argument.toListRef()) {
        if (!element.isTensor()) continue;
        TORCH_CHECK(element.toTensor().defined(), "a list of tensors has an element that holds nothing");
        check(element.toTensor());
      }
    }
  }
}

}  // namespace ld::guards
