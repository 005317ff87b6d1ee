// Guards of linear algebra and transforms.
#include <ATen/ExpandUtils.h>

#include <limits>

#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

void transformed(const Stack& stack) {
  const auto self = tensor(stack, 0);
  auto dims = ints(stack, 1);
  TORCH_CHECK(strided(self), "wants a strided tensor");
  for (auto& dim : dims) {
    TORCH_CHECK(dim >= -self.dim() && dim < self.dim(), "dim ", dim, " names no dimension of a tensor of ", self.dim());
    TORCH_CHECK(dim >= 0 || (dims.size() == 1 && dim == -1), "no dimension but the last alone may be counted from the end");
    dim = (dim + self.dim()) % self.dim();
  }
  const int64_t norm = stack.at(2).toInt();
  TORCH_CHECK(norm >= 0 && norm <= 2, "normalization is 0 (none), 1 (by the root) or 2 (by the length)");
  std::sort(dims.begin(), dims.end());
  TORCH_CHECK(!dims.empty() && std::adjacent_find(dims.begin(), dims.end()) == dims.end(),
              "dim must name at least one dimension, and each once");
}

// A decomposition [.., m, n] and its pivots [.., min(m, n)], rows that LAPACK swaps without a look. Those of an LDL
// decomposition are negative in pairs.
void pivoted(const at::Tensor& matrix, const at::Tensor& pivots) {
  TORCH_CHECK(strided(matrix) && strided(pivots) && matrix.dim() >= 2 && pivots.dim() == matrix.dim() - 1 &&
                  pivots.sizes().slice(0, pivots.dim() - 1) == matrix.sizes().slice(0, matrix.dim() - 2) &&
                  pivots.size(-1) == std::min(matrix.size(-1), matrix.size(-2)),
              "wants a decomposition [.., m, n] and its pivots [.., min(m, n)]");
  if (!isIndex(pivots)) return;
  const auto values = valuesOf(pivots);
  const auto row = static_cast<size_t>(pivots.size(-1));
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t value = values[i];
    TORCH_CHECK(value != 0 && std::abs(value) <= matrix.size(-2), "pivot ", value, " names no row of ", matrix.size(-2));
    if (value > 0) continue;
    TORCH_CHECK(i % row + 1 < row && values[i + 1] == value, "negative pivots must come in pairs");
    ++i;
  }
}

// (LU, pivots, B, ...)
void luSolve(const Stack& stack) {
  pivoted(tensor(stack, 0), tensor(stack, 1));
  if (!isIndex(tensor(stack, 1))) return;
  for (const int64_t pivot : valuesOf(tensor(stack, 1))) TORCH_CHECK(pivot > 0, "pivots must be positive");
}

// (LD, pivots, B, ...)
void ldlSolve(const Stack& stack) { pivoted(tensor(stack, 0), tensor(stack, 1)); }

// (self, LU, pivots)
void luSolveLegacy(const Stack& stack) { luSolve({stack.at(1), stack.at(2)}); }

// (LU, pivots, unpack_data, unpack_pivots, ...)
void luUnpack(const Stack& stack) {
  if (stack.at(3).toBool()) luSolve(stack);
}

// The number of heads stands at Place; widths are divided by it. Weights and biases, four from First on, are taken for what the query is.
template <size_t Place, size_t First>
void heads(const Stack& stack) {
  TORCH_CHECK(stack.at(Place).toInt() > 0, "the number of heads must be positive");
  const auto query = tensor(stack, 0);
  for (size_t i = First; i < First + 4; ++i) {
    const auto each = tensor(stack, i);
    TORCH_CHECK(query.defined() && each.defined() && sameType(each, query), "weights and biases must have the dtype of the query");
  }
}

// (self, diagonal, out): the matrices of a batch are written as if they lay in a row.
void triangle(const Stack& stack) {
  const auto self = tensor(stack, 0), out = tensor(stack, 2);
  if (!strided(out) || !sameSizes(self, out)) return;
  for (int64_t i = out.dim() - 4; i >= 0; --i) {
    TORCH_CHECK(out.size(i) == 1 || out.stride(i) == out.stride(i + 1) * out.size(i + 1), "the batch of out must be contiguous");
  }
}

// (self [.., n, k], A [.., n, n])
void choleskySolve(const Stack& stack) {
  const auto self = tensor(stack, 0), a = tensor(stack, 1);
  TORCH_CHECK(strided(self) && strided(a) && self.dim() >= 2 && a.dim() == self.dim() && a.size(-1) == a.size(-2) &&
                  a.size(-1) == self.size(-2) && self.scalar_type() == a.scalar_type(),
              "wants [.., n, k] and [.., n, n] of one dtype");
  TORCH_CHECK(self.sizes().slice(0, self.dim() - 2) == a.sizes().slice(0, a.dim() - 2), "the batch dimensions differ");
}

// (qkv [batch, tokens, 3 * dim], bias [3 * dim], num_heads)
void rescaleQkv(const Stack& stack) {
  const auto qkv = tensor(stack, 0), bias = tensor(stack, 1);
  const int64_t heads = stack.at(2).toInt();
  TORCH_CHECK(qkv.defined() && qkv.dim() == 3 && bias.defined() && strided(bias) && bias.dim() == 1 && bias.size(0) > 0 &&
                  heads > 0 && bias.size(0) % (3 * heads) == 0,
              "wants qkv [batch, tokens, 3 * dim], bias [3 * dim], and heads that divide dim");
  TORCH_CHECK(sameType(qkv, bias) && (qkv.is_nested() || (qkv.size(0) > 0 && qkv.size(2) == bias.size(0))), "qkv must be not empty, and have the length and dtype of bias");
}

// (input [n, ...], coefficients [m, n])
void linearCombination(const Stack& stack) {
  const auto input = tensor(stack, 0), coefficients = tensor(stack, 1);
  TORCH_CHECK(strided(input) && strided(coefficients) && input.dim() > 0 && coefficients.dim() == 2 && coefficients.size(1) == input.size(0) &&
                  coefficients.scalar_type() == input.scalar_type() && (stack.size() < 3 || (strided(tensor(stack, 2)) && sameType(tensor(stack, 2), input))),
              "wants input [n, ...] and coefficients [m, n], and out, of one dtype");
}

// (inp [m, in], packed_weights, block_size, in_features, out_features): two weights a byte, here a float32 each, and a scale a block.
void fourBits(const Stack& stack) {
  const auto input = tensor(stack, 0), packed = tensor(stack, 1);
  const int64_t block = stack.at(2).toInt(), in = stack.at(3).toInt(), out = stack.at(4).toInt();
  TORCH_CHECK(strided(input) && input.dim() == 2 && input.size(1) == in && in > 0 && in % 2 == 0 && out > 0 && block > 0 && in % block == 0,
              "wants inp [m, in_features], and an even in_features that block_size divides");
  TORCH_CHECK(strided(packed) && packed.scalar_type() == at::kFloat && packed.is_contiguous() && packed.numel() / out >= in / 2 + in / block,
              "packed_weights must be what _dyn_quant_pack_4bit_weight made for these features");
}

// (self, dim, normalization, last_dim_size): the transform reads half of what it gives.
void transformedBack(const Stack& stack) {
  transformed(stack);
  const auto self = tensor(stack, 0);
  const int64_t last = ints(stack, 1).back(), size = stack.at(3).toInt();
  TORCH_CHECK(size > 0 && size / 2 + 1 <= self.size(last) && self.size(last) <= std::max<int64_t>(size, 2), "last_dim_size ", size,
              " wants a last dimension of ", size / 2 + 1, ", got ", self.size(last));
}

// (grad [n (n - 1) / 2], self [n, m], p, pdist [n (n - 1) / 2])
void pairsBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1), distances = tensor(stack, 3);
  TORCH_CHECK(strided(self) && self.dim() == 2 && self.size(0) > 0 && gradient.defined() && distances.defined(),
              "wants grad [pairs], self [n, m] that is not empty, and pdist [pairs]");
  const int64_t pairs = self.size(0) * (self.size(0) - 1) / 2;
  TORCH_CHECK(vectorOf(gradient, pairs) && vectorOf(distances, pairs) && sameType(gradient, self) && sameType(distances, self),
              "grad and pdist must have one value per pair of rows, of the dtype of self");
}

// (grad [.., n, m], x1 [.., n, k], x2 [.., m, k], p, cdist [.., n, m]); the batches broadcast.
void distancesBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), x1 = tensor(stack, 1), x2 = tensor(stack, 2), distances = tensor(stack, 4);
  for (const auto& each : {gradient, x1, x2, distances}) {
    TORCH_CHECK(strided(each) && each.dim() >= 2 && sameType(each, x1), "gradient, inputs and distances must have 2 or more dimensions and one dtype");
  }
  auto sizes = at::infer_size(x1.sizes().slice(0, x1.dim() - 2), x2.sizes().slice(0, x2.dim() - 2));
  sizes.insert(sizes.end(), {x1.size(-2), x2.size(-2)});
  TORCH_CHECK(x1.size(-1) == x2.size(-1) && gradient.sizes() == at::IntArrayRef(sizes) && distances.sizes() == at::IntArrayRef(sizes),
              "wants x1 [.., n, k] and x2 [.., m, k], and gradient and distances of [.., n, m]");
}

// (self, b, rcond?, driver?): LAPACK's gelss does not take a right side without columns.
void leastSquares(const Stack& stack) {
  const auto b = tensor(stack, 1);
  TORCH_CHECK(!stack.at(3).isString() || stack[3].toStringView() != "gelss" || !strided(b) || b.numel() > 0, "the driver gelss wants a right side with columns");
}

// (self, n): the least number has no absolute value, whose bits are counted.
void power(const Stack& stack) {
  TORCH_CHECK(stack.at(1).toInt() > std::numeric_limits<int64_t>::min(), "n is the least number");
}

// (query, key, value, ...): the kernel walks through both with the tokens of one.
void attended(const Stack& stack) {
  const auto key = tensor(stack, 1), value = tensor(stack, 2);
  if (!strided(key) || !strided(value) || key.dim() < 2 || value.dim() < 2) return;
  TORCH_CHECK(key.size(-2) == value.size(-2), "key and value must have as many tokens");
}

// As `attended`; the public function gives what is empty to other kernels.
void flash(const Stack& stack) {
  attended(stack);
  for (size_t i = 0; i < 3; ++i) {
    const auto each = tensor(stack, i);
    TORCH_CHECK(strided(each) && each.dim() == 4 && each.size(1) > 0 && each.size(2) > 0, "all must be [batch, heads, tokens, width] with heads and tokens");
  }
  const auto query = tensor(stack, 0), key = tensor(stack, 1), value = tensor(stack, 2);
  for (int64_t i : {0, 1}) {
    TORCH_CHECK(key.size(i) == query.size(i) && value.size(i) == query.size(i), "query, key and value must have one batch and number of heads");
  }
}

// (grad_out, query, key, value, out, logsumexp, ...): [batch, heads, tokens, width]
void flashBackward(const Stack& stack) {
  const auto query = tensor(stack, 1), key = tensor(stack, 2), value = tensor(stack, 3), sums = tensor(stack, 5);
  for (size_t i = 0; i < 5; ++i) {
    const auto each = tensor(stack, i);
    TORCH_CHECK(strided(each) && each.dim() == 4 && each.numel() > 0 && sameType(each, query), "all must be [batch, heads, tokens, width] of one dtype, and not empty");
  }
  TORCH_CHECK(sameSizes(tensor(stack, 0), query) && sameSizes(tensor(stack, 4), query) && sameSizes(key, value) && key.size(0) == query.size(0) &&
                  key.size(1) == query.size(1) && key.size(3) == query.size(3),
              "gradient, out and query must have one shape, key and value too");
  TORCH_CHECK(strided(sums) && sums.sizes() == query.sizes().slice(0, 3), "logsumexp must be [batch, heads, tokens] of the query");
}

}  // namespace

void addMatrices(Table& table) {
  table.merge(Table{
      {"aten::linalg_lu_solve", luSolve},
      {"aten::linalg_ldl_solve", ldlSolve},
      {"aten::lu_solve", luSolveLegacy},
      {"aten::linalg_lstsq", leastSquares},
      {"aten::lu_unpack", luUnpack},
      {"aten::matrix_power", power},
      {"aten::linalg_matrix_power", power},
      {"aten::triu.out", triangle},
      {"aten::tril.out", triangle},
      {"aten::_native_multi_head_attention", heads<4, 5>},
      {"aten::_triton_multi_head_attention", heads<4, 5>},
      {"aten::_transformer_encoder_layer_fwd", heads<2, 3>},
      {"aten::scaled_dot_product_attention", attended},
      {"aten::_scaled_dot_product_flash_attention_for_cpu", flash},
      {"aten::_cdist_backward", distancesBackward},
      {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", flashBackward},
      {"aten::_fft_r2c", transformed},
      {"aten::_fft_c2c", transformed},
      {"aten::_fft_c2r", transformedBack},
      {"aten::_dyn_quant_matmul_4bit", fourBits},
      {"aten::_pdist_backward", pairsBackward},
      {"aten::_cholesky_solve_helper", choleskySolve},
      {"aten::_transform_bias_rescale_qkv", rescaleQkv},
      {"aten::_compute_linear_combination", linearCombination},
  });
}

}  // namespace ld::guards
