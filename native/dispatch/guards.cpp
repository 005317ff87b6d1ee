#include "dispatch/guards.h"

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <unordered_map>

namespace ld {

namespace {

using Stack = torch::jit::Stack;

// Undefined where the argument is none.
at::Tensor tensor(const Stack& stack, size_t i) { return stack.at(i).isTensor() ? stack[i].toTensor() : at::Tensor(); }

std::vector<int64_t> ints(const Stack& stack, size_t i) {
  return stack.at(i).isIntList() ? stack[i].toIntVector() : std::vector<int64_t>();
}

bool sameSizes(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() && b.defined() && a.layout() == b.layout() && a.sizes() == b.sizes();
}

// Whether the last `count` dimensions hold something; a batch before them may be empty.
bool filled(const at::Tensor& tensor, int64_t count) {
  const auto sizes = tensor.sizes().slice(tensor.dim() - count);
  return std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 0; });
}

bool strided(const at::Tensor& tensor) { return tensor.defined() && !tensor.is_nested() && tensor.layout() == at::kStrided; }

// The values of an index tensor, on the CPU.
std::vector<int64_t> valuesOf(const at::Tensor& indices) {
  const auto flat = indices.to(at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

bool isIndex(const at::Tensor& tensor) {
  return strided(tensor) && tensor.is_cpu() && (tensor.scalar_type() == at::kLong || tensor.scalar_type() == at::kInt);
}

// (self, level, batch_size, out_dim)
void insertedDimension(const Stack& stack) {
  const int64_t dim = stack.at(3).toInt();
  TORCH_CHECK(tensor(stack, 0).defined() && dim >= 0 && dim <= tensor(stack, 0).dim(), "out_dim ", dim, " is no place for a dimension");
}

void someTensors(const Stack& stack) { TORCH_CHECK(!stack.at(0).toTensorVector().empty(), "the list of tensors is empty"); }

void transformed(const Stack& stack) {
  const auto self = tensor(stack, 0);
  auto dims = ints(stack, 1);
  TORCH_CHECK(strided(self), "wants a strided tensor");
  for (auto& dim : dims) {
    TORCH_CHECK(dim >= -self.dim() && dim < self.dim(), "dim ", dim, " names no dimension of a tensor of ", self.dim());
    dim = (dim + self.dim()) % self.dim();
  }
  const int64_t norm = stack.at(2).toInt();
  TORCH_CHECK(norm >= 0 && norm <= 2, "normalization is 0 (none), 1 (by the root) or 2 (by the length)");
  std::sort(dims.begin(), dims.end());
  TORCH_CHECK(!dims.empty() && std::adjacent_find(dims.begin(), dims.end()) == dims.end(),
              "dim must name at least one dimension, and each once");
}

// (grad_output, self, padding): the last dimensions padded, the others alike.
template <size_t Padded>
void reflected(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1);
  const auto padding = ints(stack, 2);
  const auto rank = static_cast<int64_t>(Padded);
  for (const auto& each : {gradient, self}) {
    TORCH_CHECK(strided(each) && (each.dim() == rank + 1 || each.dim() == rank + 2) && filled(each, rank + 1),
                "gradient and input must both have ", rank + 1, " or ", rank + 2, " dimensions and be not empty");
  }
  TORCH_CHECK(gradient.dim() == self.dim() && gradient.scalar_type() == self.scalar_type(),
              "gradient and input must have the same dimensions and dtype");
  TORCH_CHECK(padding.size() == 2 * Padded, "padding must have ", 2 * Padded, " numbers");
  for (int64_t i = 0; i < self.dim(); ++i) {
    const int64_t dim = self.dim() - 1 - i;
    const int64_t before = i < rank ? padding[2 * i] : 0, after = i < rank ? padding[2 * i + 1] : 0;
    TORCH_CHECK(std::max(std::abs(before), std::abs(after)) < std::max<int64_t>(self.size(dim), 1) &&
                    gradient.size(dim) == self.size(dim) + before + after,
                "gradient must have the shape of the padded input, and each padding be smaller than its dimension");
  }
}

// (grad_output, self, kernel_size, output_size, indices)
template <int64_t Rank>
void fractionalPool(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1), indices = tensor(stack, 4);
  const auto size = ints(stack, 3);
  TORCH_CHECK(ints(stack, 2).size() == Rank && size.size() == Rank, "kernel_size and output_size must have ", Rank, " numbers");
  TORCH_CHECK(strided(self) && (self.dim() == Rank + 1 || self.dim() == Rank + 2) && filled(self, Rank + 1), "input must have ",
              Rank + 1, " or ", Rank + 2, " dimensions and be not empty");
  TORCH_CHECK(sameSizes(gradient, indices) && gradient.dim() == self.dim(), "gradient and indices must have the same shape");
  TORCH_CHECK(gradient.scalar_type() == self.scalar_type() && indices.scalar_type() == at::kLong,
              "gradient and input must have one dtype, and the indices int64");
  for (int64_t i = 0; i < self.dim(); ++i) {
    const bool pooled = i >= self.dim() - Rank;
    TORCH_CHECK(gradient.size(i) == (pooled ? size[i - (self.dim() - Rank)] : self.size(i)),
                "gradient must have the shape of the pooled input");
  }
}

// (input, weight, bias?, padding, stride)
void nnpack(const Stack& stack) {
  const auto input = tensor(stack, 0), weight = tensor(stack, 1), bias = tensor(stack, 2);
  const auto padding = ints(stack, 3), stride = ints(stack, 4);
  for (const auto& each : {input, weight}) {
    TORCH_CHECK(strided(each) && each.is_cpu() && each.dim() == 4 && each.numel() > 0 && each.scalar_type() == at::kFloat,
                "input and weight must be float32 of 4 dimensions on the CPU, and not empty");
  }
  TORCH_CHECK(input.size(1) == weight.size(1), "input and weight must have the same number of channels");
  TORCH_CHECK(!bias.defined() || (strided(bias) && bias.scalar_type() == at::kFloat && bias.dim() == 1 && bias.size(0) == weight.size(0)),
              "bias must be float32 of one value per output channel");
  TORCH_CHECK(padding.size() == 2 && stride.size() == 2, "padding and stride must have 2 numbers");
  for (size_t i = 0; i < 2; ++i) {
    TORCH_CHECK(padding[i] >= 0 && padding[i] < weight.size(2 + i) && stride[i] > 0,
                "padding must be smaller than the kernel, and stride positive");
    TORCH_CHECK(input.size(2 + i) + 2 * padding[i] >= weight.size(2 + i), "the kernel is larger than the padded input");
  }
}

// (grad_output, self, weight, kernel_size, stride, padding)
void slowConvolution(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1), weight = tensor(stack, 2);
  const auto kernel = ints(stack, 3), stride = ints(stack, 4), padding = ints(stack, 5);
  for (const auto& each : {gradient, self, weight}) {
    TORCH_CHECK(strided(each) && each.dim() == 4 && each.numel() > 0 && each.scalar_type() == self.scalar_type(),
                "gradient, input and weight must have 4 dimensions and one dtype, and be not empty");
  }
  TORCH_CHECK(kernel.size() == 2 && stride.size() == 2 && padding.size() == 2, "kernel_size, stride and padding must have 2 numbers");
  TORCH_CHECK(weight.size(0) == gradient.size(1) && weight.size(1) == self.size(1) && self.size(0) == gradient.size(0),
              "gradient, input and weight do not belong together");
  for (size_t i = 0; i < 2; ++i) {
    TORCH_CHECK(kernel[i] == weight.size(2 + i) && stride[i] > 0 && padding[i] >= 0 && padding[i] < (int64_t{1} << 31) &&
                    gradient.size(2 + i) == (self.size(2 + i) + 2 * padding[i] - kernel[i]) / stride[i] + 1,
                "gradient has not the shape of the convolution's output");
  }
}

// quantized_lstm_cell(input, hx, ...)
void twoStates(const Stack& stack) {
  TORCH_CHECK(stack.at(1).toTensorVector().size() == 2, "hx must be two tensors, the hidden state and the cell state");
}

// Gates of an LSTM (4) or GRU (3) cell, [batch, Gates * hidden], and states [batch, hidden].
void cell(const at::Tensor& input, const at::Tensor& hidden, int64_t gates, std::initializer_list<at::Tensor> states) {
  TORCH_CHECK(strided(input) && input.dim() == 2 && input.size(1) > 0 && input.size(1) % gates == 0 && sameSizes(input, hidden),
              "the gates must be two tensors of one shape, [batch, ", gates, " * hidden]");
  for (const auto& state : states) {
    TORCH_CHECK(!state.defined() || (strided(state) && state.dim() == 2 && state.size(0) == input.size(0) && state.size(1) == input.size(1) / gates),
                "states and gradients must have the shape [batch, hidden]");
  }
}

// (grad_hy, input_gates, hidden_gates, hx, input_bias?, hidden_bias?)
void gruBackward(const Stack& stack) {
  cell(tensor(stack, 1), tensor(stack, 2), 3, {tensor(stack, 0), tensor(stack, 3)});
}

// (self, values, indices, dim)
void cumulative(const Stack& stack) {
  const auto self = tensor(stack, 0), indices = tensor(stack, 2);
  const int64_t dim = stack.at(3).toInt();
  TORCH_CHECK(strided(self) && sameSizes(self, tensor(stack, 1)) && sameSizes(self, indices) && indices.scalar_type() == at::kLong &&
                  tensor(stack, 1).scalar_type() == self.scalar_type() && dim >= -self.dim() && dim < std::max<int64_t>(self.dim(), 1),
              "values and indices must have the input's shape, and dim name one of its dimensions");
}

// (grad_hy?, grad_cy?, input_gates, hidden_gates, input_bias?, hidden_bias?, cx, cy)
void lstmBackward(const Stack& stack) {
  cell(tensor(stack, 2), tensor(stack, 3), 4, {tensor(stack, 0), tensor(stack, 1), tensor(stack, 6), tensor(stack, 7)});
  TORCH_CHECK(tensor(stack, 0).defined() || tensor(stack, 1).defined(), "one of the gradients must be there");
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
  TORCH_CHECK(qkv.is_nested() || (qkv.size(2) == bias.size(0) && qkv.scalar_type() == bias.scalar_type()),
              "qkv and bias must have one length and dtype");
}

// (v, g, dim, ...): norms over all dimensions but one.
void weightNorm(const at::Tensor& v, const at::Tensor& g, int64_t dim) {
  TORCH_CHECK(strided(v) && strided(g) && v.dim() > 0 && v.numel() > 0, "v and g must be strided and not empty");
  TORCH_CHECK(dim == 0 || dim == v.dim() - 1, "dim must be the first or the last dimension of v");
  TORCH_CHECK(g.numel() == v.size(dim) && g.scalar_type() == v.scalar_type(), "g must have one value per slice of v, of its dtype");
}

void weightNormForward(const Stack& stack) { weightNorm(tensor(stack, 0), tensor(stack, 1), stack.at(2).toInt()); }

// _weight_norm composes one of any dim, which then takes the slow way.
void weightNormAny(const Stack& stack) {
  const auto v = tensor(stack, 0), g = tensor(stack, 1);
  TORCH_CHECK(strided(v) && strided(g) && v.dim() > 0 && v.numel() > 0 && g.numel() > 0, "v and g must be strided and not empty");
  const int64_t dim = stack.at(2).toInt();
  if (dim == 0 || dim == v.dim() - 1) weightNorm(v, g, dim);
}

// (grad_w, saved_v, saved_g, saved_norms, dim)
void weightNormBackward(const Stack& stack) {
  const auto v = tensor(stack, 1), g = tensor(stack, 2);
  weightNorm(v, g, stack.at(4).toInt());
  TORCH_CHECK(sameSizes(tensor(stack, 0), v) && tensor(stack, 0).scalar_type() == v.scalar_type(), "the gradient must be like v");
  TORCH_CHECK(strided(tensor(stack, 3)) && tensor(stack, 3).numel() == g.numel(), "the norms must be like g");
}

bool perChannel(const at::Tensor& statistics, const at::Tensor& input) {
  return strided(statistics) && statistics.dim() == 1 && statistics.size(0) == input.size(1);
}

// Each tensor of `places` is absent or has one value per channel of the input.
template <size_t Input, size_t... Places>
void channels(const Stack& stack) {
  const auto input = tensor(stack, Input);
  TORCH_CHECK(strided(input) && input.dim() >= 2, "input must have channels in its second dimension");
  for (const size_t place : {Places...}) {
    const auto each = tensor(stack, place);
    TORCH_CHECK(!each.defined() || perChannel(each, input), "weight, bias and statistics must have one value per channel");
  }
}

// (input, running_mean?, running_var?, momentum)
void updatedStatistics(const Stack& stack) {
  channels<0, 1, 2>(stack);
  TORCH_CHECK(tensor(stack, 1).defined() == tensor(stack, 2).defined(), "both running statistics or none");
}

// (input, weight?, bias?, running_mean?, running_var?, training, ...)
void batchNorm(const Stack& stack) {
  channels<0, 1, 2, 3, 4>(stack);
  TORCH_CHECK(tensor(stack, 3).defined() == tensor(stack, 4).defined(), "both running statistics or none");
  const bool trains = stack.at(5).isBool() && stack[5].toBool();
  TORCH_CHECK(trains || tensor(stack, 3).defined(), "outside of training, running statistics are needed");
}

// (input, weight?, bias?, training, ...)
void batchNormWithoutStatistics(const Stack& stack) {
  channels<0, 1, 2>(stack);
  TORCH_CHECK(stack.at(3).toBool(), "without running statistics, training must be true");
}

// (grad_out, input, weight?, running_mean?, running_var?, save_mean?, save_invstd?, train, ...)
void batchNormBackward(const Stack& stack) {
  channels<1, 2, 3, 4, 5, 6>(stack);
  const size_t used = stack.at(7).toBool() ? 5 : 3;
  TORCH_CHECK(sameSizes(tensor(stack, 0), tensor(stack, 1)) && tensor(stack, used).defined() && tensor(stack, used + 1).defined(),
              "gradient must have the input's shape, and the statistics that were used must be there");
}

// (grad_out, input, normalized_shape, mean, rstd, weight?, bias?, ...)
void layerNormBackward(const Stack& stack) {
  const auto input = tensor(stack, 1), mean = tensor(stack, 3), rstd = tensor(stack, 4);
  const auto shape = ints(stack, 2);
  TORCH_CHECK(sameSizes(tensor(stack, 0), input) && strided(input) && !shape.empty() && input.dim() >= static_cast<int64_t>(shape.size()) &&
                  input.sizes().slice(input.dim() - shape.size()) == at::IntArrayRef(shape),
              "gradient must have the input's shape, which must end in normalized_shape");
  int64_t rows = 1, length = 1;
  for (const int64_t size : input.sizes().slice(0, input.dim() - shape.size())) rows *= size;
  for (const int64_t size : shape) length *= size;
  TORCH_CHECK(strided(mean) && strided(rstd) && mean.numel() == rows && rstd.numel() == rows, "mean and rstd must have one value per row");
  for (size_t i : {5, 6}) {
    TORCH_CHECK(!tensor(stack, i).defined() || (strided(tensor(stack, i)) && tensor(stack, i).numel() == length),
                "weight and bias must have the normalized shape");
  }
}

void allStrided(const Stack& stack) {
  for (const auto& value : stack) {
    TORCH_CHECK(!value.isTensor() || !value.toTensor().defined() || strided(value.toTensor()), "takes strided tensors only");
  }
}

// (batch_sizes)
void nestedSizes(const Stack& stack) {
  const auto sizes = tensor(stack, 0);
  TORCH_CHECK(isIndex(sizes) && sizes.scalar_type() == at::kLong && sizes.dim() == 2 && sizes.numel() > 0, "wants int64 sizes [tensors, dimensions]");
}

// special_*_polynomial_*(x, n): the kernel takes n steps.
void degree(const Stack& stack) {
  constexpr double kMost = 1 << 20;
  const auto& n = stack.at(1);
  double most = 0;
  if (n.isScalar()) {
    most = n.toScalar().toDouble();
  } else if (const auto degrees = tensor(stack, 1); strided(degrees) && degrees.is_cpu() && degrees.numel() > 0 && !degrees.is_complex()) {
    most = degrees.max().item<double>();
  }
  TORCH_CHECK(!(most > kMost), "a degree above ", kMost, " would not end");
}

// Lists of a _foreach operator go together, element by element.
void sameLengths(const Stack& stack) {
  size_t length = 0;
  for (const auto& value : stack) {
    if (!value.isList()) continue;
    const size_t own = value.toListRef().size();
    if (length == 0) length = own;
    TORCH_CHECK(own > 0 && own == length, "the lists must have one length, and not be empty");
  }
}

// (self, dim, index, grad)
void gatherBackward(const Stack& stack) {
  const auto self = tensor(stack, 0), index = tensor(stack, 2), gradient = tensor(stack, 3);
  const int64_t dim = stack.at(1).toInt();
  TORCH_CHECK(strided(self) && strided(index) && index.scalar_type() == at::kLong && sameSizes(index, gradient) && index.dim() == self.dim() &&
                  dim >= -self.dim() && dim < self.dim(),
              "index must be int64 of the gradient's shape, and dim one of its dimensions");
}

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

// (grad_output, indices, num_weights, ...): the indices say where is written.
void embedded(const Stack& stack) {
  const auto indices = tensor(stack, 1);
  const int64_t rows = stack.at(2).toInt();
  TORCH_CHECK(isIndex(indices), "the indices must be of an integer dtype on the CPU");
  for (const int64_t row : valuesOf(indices)) {
    TORCH_CHECK(row >= 0 && row < rows, "index ", row, " is out of range for ", rows, " weights");
  }
}

// (self [nnz], size): sorted row numbers, each smaller than size.
void cooToCsr(const Stack& stack) {
  const auto rows = tensor(stack, 0);
  const int64_t size = stack.at(1).toInt();
  TORCH_CHECK(isIndex(rows) && rows.dim() == 1 && size >= 0, "wants row indices [nnz] of an integer dtype on the CPU, and their number of rows");
  int64_t least = 0;
  for (const int64_t row : valuesOf(rows)) {
    TORCH_CHECK(row >= least && row < size, "the row indices must be sorted and smaller than ", size);
    least = row;
  }
}

void needsItsWorkspace(const Stack&) {
  TORCH_CHECK(false, "called by the backward pass of mkldnn_rnn_layer only: nobody else's workspace can be checked");
}

// (weight0, weight1, hidden_size, ..., input_size?)
void rnnWeights(const Stack& stack) {
  for (size_t i : {0, 1}) {
    const auto weight = tensor(stack, i);
    TORCH_CHECK(weight.defined() && weight.dim() == 2 && weight.numel() > 0, "the weights must have 2 dimensions and be not empty");
  }
  TORCH_CHECK(stack.at(2).toInt() > 0, "hidden_size must be positive");
  TORCH_CHECK(!stack.at(6).isIntList() || ints(stack, 6).size() == 3, "input_size must have 3 numbers");
}

// (self, other, self_num_batch_dims)
void batchDimensions(const Stack& stack) {
  const int64_t count = stack.at(2).toInt();
  TORCH_CHECK(strided(tensor(stack, 0)) && strided(tensor(stack, 1)) && count >= 0 && count <= tensor(stack, 0).dim(),
              "self_num_batch_dims must name leading dimensions of self");
}

// range.out(start, end, step, out): a whole-number result needs a whole step.
void wholeStep(const Stack& stack) {
  const auto out = tensor(stack, 3);
  if (!out.defined() || !at::isIntegralType(out.scalar_type(), /*includeBool=*/true)) return;
  const double step = stack.at(2).toScalar().toDouble();
  TORCH_CHECK(step <= -1 || step >= 1, "a step between -1 and 1 is none in ", c10::toString(out.scalar_type()));
}

// (input, numel, n_bins, ratio, bit_width): a search that ends after as many steps as there are bins.
void quantizationSearch(const Stack& stack) {
  const auto input = tensor(stack, 0);
  const int64_t bins = stack.at(2).toInt(), bits = stack.at(4).toInt();
  const double ratio = stack.at(3).toDouble();
  TORCH_CHECK(strided(input) && input.scalar_type() == at::kFloat && stack.at(1).toInt() == input.numel() && input.numel() > 0,
              "input must be float32, and numel the number of its values");
  TORCH_CHECK(bins > 0 && bins <= 1 << 16 && ratio >= 0 && ratio <= 1 && bits >= 1 && bits <= 16,
              "n_bins must be positive, ratio between 0 and 1, and bit_width between 1 and 16");
}

// (self or quasi [dimension], n, sobolstate [dimension, 30], dimension, num_generated)
void sobol(const Stack& stack) {
  const auto self = tensor(stack, 0), state = tensor(stack, 2);
  const int64_t n = stack.at(1).toInt(), dimension = stack.at(3).toInt(), generated = stack.at(4).toInt();
  for (const auto& each : {self, state}) {
    TORCH_CHECK(strided(each) && each.is_cpu() && each.scalar_type() == at::kLong && each.dim() > 0 && each.size(0) == dimension,
                "state and numbers must be int64 of one row per dimension");
  }
  TORCH_CHECK(self.dim() == 1 && state.dim() == 2 && state.size(1) == 30, "sobolstate must be [dimension, 30], the numbers [dimension]");
  TORCH_CHECK(n >= 0 && generated >= 0 && n < (1 << 30) && generated + n < (1 << 30), "n and num_generated must be below 2^30");
}

// (self [dimension, 30], dimension) and (self, ltm [dimension, 30, 30], dimension)
void sobolState(const Stack& stack) {
  const int64_t dimension = stack.back().toInt();
  const auto state = tensor(stack, 0), ltm = tensor(stack, 1);
  TORCH_CHECK(isIndex(state) && state.sizes() == at::IntArrayRef({dimension, 30}) && dimension > 0 && dimension <= 21201,
              "the state must be [dimension, 30] of integers, of at most 21201 dimensions");
  TORCH_CHECK(stack.size() == 2 || (isIndex(ltm) && ltm.sizes() == at::IntArrayRef({dimension, 30, 30})), "ltm must be [dimension, 30, 30]");
}

void notQuantized(const Stack& stack) {
  TORCH_CHECK(!tensor(stack, 0).is_quantized(), "a quantized tensor has no such view");
}

// Lengths, given as a list or as a tensor.
std::vector<int64_t> lengths(const Stack& stack, size_t i) {
  if (!stack.at(i).isTensor()) return ints(stack, i);
  TORCH_CHECK(isIndex(tensor(stack, i)), "lengths must be of an integer dtype on the CPU");
  return valuesOf(tensor(stack, i));
}

// log_probs [T, N, C] or [T, C], targets, lengths: each target is one of the C classes.
void labelled(const Stack& stack, size_t first) {
  const auto scores = tensor(stack, first), targets = tensor(stack, first + 1);
  TORCH_CHECK(strided(scores) && scores.dim() >= 2 && isIndex(targets), "wants log_probs [T, N, C] and integer targets on the CPU");
  for (const int64_t target : valuesOf(targets)) {
    TORCH_CHECK(target >= 0 && target < scores.size(-1), "target ", target, " is none of ", scores.size(-1), " classes");
  }
}

// (log_probs, targets, input_lengths, target_lengths, ...)
void ctc(const Stack& stack) { labelled(stack, 0); }

// (grad, log_probs, targets, input_lengths, target_lengths, neg_log_likelihood, log_alpha, blank, ...)
void ctcBackward(const Stack& stack) {
  labelled(stack, 1);
  const auto scores = tensor(stack, 1), targets = tensor(stack, 2), likelihood = tensor(stack, 5), alpha = tensor(stack, 6);
  const auto inputs = lengths(stack, 3), outputs = lengths(stack, 4);
  const int64_t batch = scores.size(1), blank = stack.at(7).toInt();
  TORCH_CHECK(scores.dim() == 3 && static_cast<int64_t>(inputs.size()) == batch && static_cast<int64_t>(outputs.size()) == batch,
              "wants log_probs [T, N, C] and N lengths");
  TORCH_CHECK(blank >= 0 && blank < scores.size(2), "blank must be one of the classes");
  int64_t all = 0, longest = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TORCH_CHECK(inputs[i] >= 0 && inputs[i] <= scores.size(0) && outputs[i] >= 0 && outputs[i] <= targets.numel(), "a length is out of range");
    all += outputs[i];
    longest = std::max(longest, outputs[i]);
  }
  TORCH_CHECK(targets.dim() == 1 ? all == targets.numel() : targets.dim() == 2 && targets.size(0) == batch && targets.size(1) >= longest,
              "targets do not match their lengths");
  const auto same = [&](const at::Tensor& each) { return strided(each) && each.scalar_type() == scores.scalar_type(); };
  TORCH_CHECK(same(tensor(stack, 0)) && tensor(stack, 0).numel() == batch && same(likelihood) && likelihood.numel() == batch,
              "gradient and likelihood must have one value per sequence");
  TORCH_CHECK(same(alpha) && alpha.dim() == 3 && alpha.size(0) == batch && alpha.size(1) == scores.size(0) && alpha.size(2) >= 2 * longest + 1,
              "log_alpha must be what the forward pass gave");
}

// (input [n, ...], coefficients [m, n])
void linearCombination(const Stack& stack) {
  const auto input = tensor(stack, 0), coefficients = tensor(stack, 1);
  TORCH_CHECK(strided(input) && strided(coefficients) && input.dim() > 0 && coefficients.dim() == 2 && coefficients.size(1) == input.size(0) &&
                  coefficients.scalar_type() == input.scalar_type(),
              "wants input [n, ...] and coefficients [m, n] of one dtype");
}

// (input, weight?, bias?, N, C, HxW, group, eps)
void groupNorm(const Stack& stack) {
  const auto input = tensor(stack, 0);
  const int64_t batch = stack.at(3).toInt(), width = stack.at(4).toInt(), area = stack.at(5).toInt(), groups = stack.at(6).toInt();
  TORCH_CHECK(batch >= 0 && width > 0 && area >= 0 && groups > 0 && width % groups == 0, "group must divide C, and both be positive");
  TORCH_CHECK(strided(input) && input.dim() >= 2 && input.size(0) == batch && input.size(1) == width, "input must be [N, C, ...]");
}

const std::unordered_map<std::string, Guard>& guards() {
  // A name with an overload stands before the name alone, which holds for all overloads.
  static const auto* const all = new std::unordered_map<std::string, Guard>{
      {"aten::_native_batch_norm_legit.no_stats", batchNormWithoutStatistics},
      {"aten::_native_batch_norm_legit.no_stats_out", batchNormWithoutStatistics},
      {"aten::_remove_batch_dim", insertedDimension},
      {"aten::_stack", someTensors},
      {"aten::_fft_r2c", transformed},
      {"aten::_fft_c2c", transformed},
      {"aten::_fft_c2r", transformed},
      {"aten::reflection_pad1d_backward", reflected<1>},
      {"aten::reflection_pad2d_backward", reflected<2>},
      {"aten::reflection_pad3d_backward", reflected<3>},
      {"aten::fractional_max_pool2d_backward", fractionalPool<2>},
      {"aten::fractional_max_pool3d_backward", fractionalPool<3>},
      {"aten::_nnpack_spatial_convolution", nnpack},
      {"aten::_slow_conv2d_backward", slowConvolution},
      {"aten::quantized_lstm_cell", twoStates},
      {"aten::_thnn_differentiable_gru_cell_backward", gruBackward},
      {"aten::_thnn_differentiable_lstm_cell_backward", lstmBackward},
      {"aten::_cholesky_solve_helper", choleskySolve},
      {"aten::_transform_bias_rescale_qkv", rescaleQkv},
      {"aten::_weight_norm", weightNormAny},
      {"aten::_weight_norm_interface", weightNormForward},
      {"aten::_weight_norm_interface_backward", weightNormBackward},
      {"aten::batch_norm_update_stats", updatedStatistics},
      {"aten::native_batch_norm", batchNorm},
      {"aten::_native_batch_norm_legit", batchNorm},
      {"aten::_native_batch_norm_legit_functional", batchNorm},
      {"aten::_batch_norm_with_update", batchNorm},
      {"aten::_native_batch_norm_legit_no_training", batchNorm},
      {"aten::native_batch_norm_backward", batchNormBackward},
      {"aten::batch_norm_backward", batchNormBackward},
      {"aten::native_layer_norm_backward", layerNormBackward},
      {"aten::nll_loss_forward", allStrided},
      {"aten::nll_loss_backward", allStrided},
      {"aten::nll_loss2d_forward", allStrided},
      {"aten::nll_loss2d_backward", allStrided},
      {"aten::_nested_compute_contiguous_strides_offsets", nestedSizes},
      {"aten::_gather_sparse_backward", gatherBackward},
      {"aten::_new_zeros_with_same_feature_meta", batchDimensions},
      {"aten::range.out", wholeStep},
      {"aten::_convert_indices_from_csr_to_coo", csrToCoo},
      {"aten::_convert_indices_from_coo_to_csr", cooToCsr},
      {"aten::_cummax_helper", cumulative},
      {"aten::_cummin_helper", cumulative},
      {"aten::_batch_norm_no_update", batchNorm},
      {"aten::embedding_backward", embedded},
      {"aten::embedding_dense_backward", embedded},
      {"aten::choose_qparams_optimized", quantizationSearch},
      {"aten::_sobol_engine_ff_", sobol},
      {"aten::_sobol_engine_draw", sobol},
      {"aten::_sobol_engine_initialize_state_", sobolState},
      {"aten::_sobol_engine_scramble_", sobolState},
      {"aten::_compute_linear_combination", linearCombination},
      {"aten::native_group_norm", groupNorm},
      {"aten::_neg_view_copy", notQuantized},
      {"aten::view.dtype", notQuantized},
      {"aten::view_copy.dtype", notQuantized},
      {"aten::view_copy.dtype_out", notQuantized},
      {"aten::ctc_loss", ctc},
      {"aten::_ctc_loss", ctc},
      {"aten::_ctc_loss_backward", ctcBackward},
      {"aten::mkldnn_rnn_layer_backward", needsItsWorkspace},
      {"mkldnn::_reorder_mkldnn_rnn_layer_weight", rnnWeights},
  };
  return *all;
}

}  // namespace

void runGuard(Guard guard, const Stack& arguments) {
  try {
    guard(arguments);
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, "refused, because libtorch does not check it: ", error.what_without_backtrace());
  }
}

Guard guardOf(const c10::OperatorName& name) {
  const auto& all = guards();
  for (const auto& wanted : {c10::toString(name), name.name}) {
    if (const auto found = all.find(wanted); found != all.end()) return found->second;
  }
  if (name.name.starts_with("aten::_foreach_")) return sameLengths;
  if (name.name.starts_with("aten::special_") && name.name.find("_polynomial_") != std::string::npos) return degree;
  return nullptr;
}

}  // namespace ld
