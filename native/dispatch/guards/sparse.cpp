// Guards of sparse layouts.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

// (crow_indices [.., rows + 1], col_indices [.., nnz]): the values are bounds of what is written.
void csrToCoo(const Stack& stack) {
  const auto crow = tensor(stack, 0), col = tensor(stack, 1);
  TORCH_CHECK(isIndex(crow) && isIndex(col) && crow.scalar_type() == col.scalar_type() && crow.dim() > 0 && crow.dim() == col.dim() &&
                  crow.size(-1) > 0 && crow.sizes().slice(0, crow.dim() - 1) == col.sizes().slice(0, col.dim() - 1),
              "wants crow_indices [.., rows + 1] and col_indices [.., nnz] of one integer dtype on the CPU");
  const auto bounds = valuesOf(crow);
  const auto length = static_cast<size_t>(crow.size(-1));
  for (size_t i = 0; i < bounds.size(); ++i) {
    const int64_t least = i % length == 0 ? 0 : bounds[i - 1];
    TORCH_CHECK(bounds[i] >= least && bounds[i] <= col.size(-1), "crow_indices must rise from 0 to the number of col_indices");
  }
}

// (self [nnz], size): sorted row numbers, each smaller than size.
void cooToCsr(const Stack& stack) {
  const auto rows = tensor(stack, 0);
  const int64_t size = stack.at(1).toInt();
  TORCH_CHECK(isIndex(rows) && rows.dim() == 1 && rows.is_contiguous() && size >= 0,
              "wants contiguous row indices [nnz] of an integer dtype on the CPU, and their number of rows");
  int64_t least = 0;
  for (const int64_t row : valuesOf(rows)) {
    TORCH_CHECK(row >= least && row < size, "the row indices must be sorted and smaller than ", size);
    least = row;
  }
}

// (compressed_indices, plain_indices, values [.., nnz, rows, columns, ..], ...): lengths are divided by those of a block.
void sparseBlocks(const Stack& stack) {
  const auto compressed = tensor(stack, 0), values = tensor(stack, 2);
  if (!strided(compressed) || !strided(values) || compressed.dim() == 0 || values.dim() < compressed.dim() + 2) return;
  TORCH_CHECK(values.size(compressed.dim()) > 0 && values.size(compressed.dim() + 1) > 0, "the blocks of values are empty");
}

// The same where the layout stands at a place.
template <size_t Place>
void blocksByLayout(const Stack& stack) {
  const auto& layout = stack.at(Place);
  if (layout.isInt() && (layout.toLayout() == at::kSparseBsr || layout.toLayout() == at::kSparseBsc)) sparseBlocks(stack);
}

// (self [n, k], A [n, n], upper, transpose, unitriangular, X [n, k], M): for a sparse A nothing is resized.
void sparseSolve(const Stack& stack) {
  const auto self = tensor(stack, 0), a = tensor(stack, 1), x = tensor(stack, 5);
  if (!a.defined() || a.layout() != at::kSparseCsr) return;
  TORCH_CHECK(a.dim() == 2 && a.size(0) == a.size(1) && strided(self) && self.dim() == 2 && self.size(0) == a.size(0) && sameType(self, a),
              "wants self [n, k] and A [n, n] of one dtype");
  TORCH_CHECK(sameSizes(x, self) && sameType(x, self), "X must have the shape and dtype of self");
}

// (diagonals, offsets, shape [2], ...)
void diagonals(const Stack& stack) {
  for (const int64_t length : ints(stack, 2)) TORCH_CHECK(length >= 0, "a shape has no negative length");
}

// (self, size): it is divided by.
void broadcast(const Stack& stack) {
  if (!tensor(stack, 0).defined() || tensor(stack, 0).layout() != at::kSparse) return;
  for (const int64_t length : ints(stack, 1)) TORCH_CHECK(length != 0, "a sparse tensor cannot be broadcast to no elements");
}

// (self [M, N], grad_out [M, K], weight [N, K], reduce, arg_out [M, K], ...): for each result which element of self gave it.
void sparseProductBackward(const Stack& stack) {
  const auto self = tensor(stack, 0), gradient = tensor(stack, 1), weight = tensor(stack, 2), chosen = tensor(stack, 4);
  TORCH_CHECK(self.defined() && self.layout() == at::kSparseCsr && self.dim() == 2 && strided(gradient) && strided(weight) && gradient.dim() == 2 &&
                  weight.dim() == 2 && gradient.size(0) == self.size(0) && weight.size(0) == self.size(1) && weight.size(1) == gradient.size(1) &&
                  sameType(gradient, self) && sameType(weight, self),
              "wants self [M, N] in CSR, grad_out [M, K] and weight [N, K] of one dtype");
  const auto reduce = stack.at(3).toStringView();
  if (reduce != "amax" && reduce != "amin") return;
  TORCH_CHECK(sameSizes(chosen, gradient) && chosen.is_contiguous(), "arg_out must have grad_out's shape");
  within(gradient, chosen, self._nnz() + 1, "arg_out");
}

}  // namespace

// Gives away its indices or values, or only looks at what it says of itself.
void anySparse(const Stack&) {}

void addSparse(Table& table) {
  for (const char* name : {"_indices", "indices", "_values", "values", "crow_indices", "col_indices", "ccol_indices", "row_indices", "_nnz", "_dimI", "_dimV",
                           "sparse_dim", "dense_dim", "is_coalesced", "_coalesced_", "sparse_resize_", "sparse_resize_and_clear_", "resize_as_sparse_"}) {
    table.emplace(std::string("aten::") + name, anySparse);
  }
  for (const char* name : {"sparse_bsr_tensor", "sparse_bsc_tensor", "_sparse_bsr_tensor_unsafe", "_sparse_bsc_tensor_unsafe", "_validate_sparse_bsr_tensor_args",
                           "_validate_sparse_bsc_tensor_args"}) {
    table.emplace(std::string("aten::") + name, sparseBlocks);
  }
  table.merge(Table{
      {"aten::sparse_compressed_tensor.comp_plain_value", blocksByLayout<4>},
      {"aten::sparse_compressed_tensor.comp_plain_value_size", blocksByLayout<5>},
      {"aten::_sparse_compressed_tensor_unsafe", blocksByLayout<5>},
      {"aten::_validate_sparse_compressed_tensor_args", blocksByLayout<4>},
      {"aten::_sparse_mm_reduce_impl_backward", sparseProductBackward},
      {"aten::triangular_solve.X", sparseSolve},
      {"aten::_spdiags", diagonals},
      {"aten::broadcast_to", broadcast},
      {"aten::_sparse_broadcast_to", broadcast},
      {"aten::_sparse_broadcast_to_copy", broadcast},
      {"aten::_convert_indices_from_csr_to_coo", csrToCoo},
      {"aten::_convert_indices_from_coo_to_csr", cooToCsr},
  });
}

}  // namespace ld::guards
