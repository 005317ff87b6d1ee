// Guards of operators that read or write where the values of a tensor say.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

// (self, values, indices, dim)
void cumulative(const Stack& stack) {
  const auto self = tensor(stack, 0), indices = tensor(stack, 2);
  const int64_t dim = stack.at(3).toInt();
  TORCH_CHECK(strided(self) && sameSizes(self, tensor(stack, 1)) && sameSizes(self, indices) && indices.scalar_type() == at::kLong &&
                  tensor(stack, 1).scalar_type() == self.scalar_type() && dim >= 0 && dim < std::max<int64_t>(self.dim(), 1),
              "values and indices must have the input's shape, and dim name one of its dimensions");
}

// (self, dim, index, grad)
void gatherBackward(const Stack& stack) {
  const auto self = tensor(stack, 0), index = tensor(stack, 2), gradient = tensor(stack, 3);
  const int64_t dim = stack.at(1).toInt();
  TORCH_CHECK(strided(self) && strided(index) && index.scalar_type() == at::kLong && sameSizes(index, gradient) && index.dim() == self.dim() &&
                  dim >= -self.dim() && dim < self.dim(),
              "index must be int64 of the gradient's shape, and dim one of its dimensions");
}

// (grad, input, indices, dim): the gradient is added where the indices say.
void cumulativeBackward(const Stack& stack) {
  for (size_t i = 0; i < 3; ++i) TORCH_CHECK(strided(tensor(stack, i)), "takes strided tensors only");
}

// (grad_output, indices, num_weights, ...): the indices say where is written.
void embedded(const Stack& stack) {
  const auto indices = tensor(stack, 1);
  const int64_t rows = stack.at(2).toInt();
  TORCH_CHECK(isIndexOf(tensor(stack, 0), indices), "the indices must be of an integer dtype, where the gradient lies");
  for (const int64_t row : valuesOf(indices)) {
    TORCH_CHECK(row >= 0 && row < rows, "index ", row, " is out of range for ", rows, " weights");
  }
}

// log_probs [T, N, C] or [T, C], targets, lengths: each target is one of the C classes.
void labelled(const Stack& stack, size_t first) {
  const auto scores = tensor(stack, first), targets = tensor(stack, first + 1);
  TORCH_CHECK(strided(scores) && scores.dim() >= 2 && isIndexOf(scores, targets), "wants log_probs [T, N, C] and integer targets");
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

// Lengths [.., segments] or offsets [.., segments + 1] of segments of data along an axis, which is the last of the lengths.
void segments(const at::Tensor& data, const at::Tensor& lengths, const at::Tensor& offsets, int64_t axis) {
  TORCH_CHECK(strided(data) && axis >= 0 && axis < data.dim() && lengths.defined() != offsets.defined(), "axis must be one of data's, and lengths or offsets be given");
  const auto& given = lengths.defined() ? lengths : offsets;
  TORCH_CHECK(isIndexOf(data, given) && given.dim() == axis + 1 && given.size(-1) > 0 && given.sizes().slice(0, axis) == data.sizes().slice(0, axis),
              "lengths or offsets must be integers that share data's dimensions before the axis");
  const auto values = valuesOf(given);
  const auto row = static_cast<size_t>(given.size(-1));
  const int64_t size = data.size(axis);
  for (size_t start = 0; start < values.size(); start += row) {
    int64_t end = 0;
    for (size_t i = start; i < start + row; ++i) {
      const int64_t next = lengths.defined() ? values[i] : values[i] - end;
      TORCH_CHECK(next >= 0 && next <= size - end, "the segments reach out of data's ", size, " along the axis");
      end += next;
    }
  }
}

// (data, reduce, *, lengths?, indices?, offsets?, axis, unsafe, initial?)
void segmentReduce(const Stack& stack) {
  TORCH_CHECK(!tensor(stack, 3).defined(), "indices are not supported");
  segments(tensor(stack, 0), tensor(stack, 2), tensor(stack, 4), stack.at(5).toInt());
}

// (grad, output, data, reduce, *, lengths?, offsets?, axis, initial?)
void segmentReduceBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), output = tensor(stack, 1), data = tensor(stack, 2);
  const int64_t axis = stack.at(6).toInt();
  segments(data, tensor(stack, 4), tensor(stack, 5), axis);
  const int64_t count = tensor(stack, 4).defined() ? tensor(stack, 4).size(-1) : tensor(stack, 5).size(-1) - 1;
  TORCH_CHECK(sameSizes(gradient, output) && sameType(gradient, data) && sameType(output, data) && output.dim() == data.dim() && output.size(axis) == count &&
                  output.sizes().slice(0, axis) == data.sizes().slice(0, axis) && output.sizes().slice(axis + 1) == data.sizes().slice(axis + 1),
              "gradient and output must have data's shape and dtype, and one value per segment along the axis");
}

// What _embedding_bag gave: for each index the bag that it belongs to.
void bagged(const at::Tensor& gradient, const at::Tensor& indices, const at::Tensor& bagOfIndex, int64_t rows) {
  TORCH_CHECK(strided(gradient) && gradient.dim() == 2, "gradient must be [bags, features]");
  TORCH_CHECK(isIndexOf(gradient, indices) && indices.dim() == 1 && sameSizes(bagOfIndex, indices) && indices.is_contiguous() && bagOfIndex.is_contiguous(),
              "indices and offset2bag must be contiguous vectors of one length");
  within(gradient, indices, rows, "indices");
  within(gradient, bagOfIndex, gradient.size(0), "offset2bag");
}

// As `bagged`, where offset2bag may be empty: it is then made of the offsets, of which the first is 0.
void offsetOrBagged(const at::Tensor& gradient, const at::Tensor& indices, const at::Tensor& offsets, const at::Tensor& bagOfIndex, int64_t rows) {
  within(gradient, offsets, indices.numel() + 1, "offsets");
  if (bagOfIndex.numel() > 0) return bagged(gradient, indices, bagOfIndex, rows);
  TORCH_CHECK(strided(gradient) && gradient.dim() == 2 && isIndexOf(gradient, indices) && indices.dim() == 1 && indices.is_contiguous() && offsets.is_contiguous(),
              "gradient must be [bags, features], and indices and offsets contiguous vectors");
  within(gradient, indices, rows, "indices");
  const auto starts = valuesOf(offsets);
  const auto inside = std::count_if(starts.begin(), starts.end(), [&](int64_t start) { return start < indices.numel(); });
  TORCH_CHECK(indices.numel() == 0 || !offsets.is_cpu() || (std::ranges::find(starts, 0) != starts.end() && inside <= gradient.size(0)),
              "offsets must begin with 0, and be no more than the gradient's bags");
}

// (weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights?, include_last_offset, ...)
void someBags(const Stack& stack) {
  const auto indices = tensor(stack, 1), offsets = tensor(stack, 2);
  if (!strided(indices) || !strided(offsets)) return;
  TORCH_CHECK(indices.dim() == 1 && offsets.dim() == 1, "indices and offsets must have 1 dimension");
  // With the last offset there is one more than bags.
  const int64_t least = stack.at(7).toBool() ? 2 : 1;
  TORCH_CHECK(indices.numel() == 0 || offsets.numel() >= least, "there are indices, and no bag for them");
  if (!isIndex(offsets)) return;
  for (const int64_t offset : valuesOf(offsets)) TORCH_CHECK(offset >= 0 && offset <= indices.numel(), "offset ", offset, " names none of ", indices.numel(), " indices");
}

// As `someBags`; the public function makes its copies of what has gaps.
void contiguousBags(const Stack& stack) {
  someBags(stack);
  for (size_t i : {1, 2}) TORCH_CHECK(tensor(stack, i).is_contiguous(), "indices and offsets must be contiguous");
}

void bags(const at::Tensor& gradient, const at::Tensor& sizes, const at::Tensor& maxima, int64_t rows, int64_t mode) {
  TORCH_CHECK(isIndexOf(gradient, sizes) && sizes.is_contiguous() && sizes.dim() == 1 && (mode == 0 || sizes.size(0) == gradient.size(0)), "bag_size must have one value per bag");
  if (mode != 2) return;
  TORCH_CHECK(isIndexOf(gradient, maxima) && maxima.sizes() == gradient.sizes() && maxima.is_contiguous(), "maximum_indices must be contiguous, of the gradient's shape");
  within(gradient, maxima, rows, "maximum_indices");
}

void weights(const at::Tensor& perSample, const at::Tensor& gradient, const at::Tensor& indices) {
  TORCH_CHECK(vectorOf(perSample, indices.numel()) && (!perSample.defined() || sameType(perSample, gradient)), "per_sample_weights must have one value per index");
}

// (grad, indices, offsets, offset2bag, bag_size, maximum_indices, num_weights, scale_grad_by_freq, mode, sparse, per_sample_weights?, ...)
void bagBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), indices = tensor(stack, 1);
  const int64_t rows = stack.at(6).toInt();
  offsetOrBagged(gradient, indices, tensor(stack, 2), tensor(stack, 3), rows);
  bags(gradient, tensor(stack, 4), tensor(stack, 5), rows, stack.at(8).toInt());
  weights(tensor(stack, 10), gradient, indices);
}

// (grad, indices, offset2bag, bag_size, maximum_indices, num_weights, scale_grad_by_freq, mode, per_sample_weights?, ...)
void bagDenseBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), indices = tensor(stack, 1);
  const int64_t rows = stack.at(5).toInt();
  bagged(gradient, indices, tensor(stack, 2), rows);
  bags(gradient, tensor(stack, 3), tensor(stack, 4), rows, stack.at(7).toInt());
  weights(tensor(stack, 8), gradient, indices);
}

// (grad, weight, indices, offsets, offset2bag, mode, padding_idx)
void bagWeightsBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), weight = tensor(stack, 1), indices = tensor(stack, 2);
  TORCH_CHECK(strided(weight) && weight.dim() == 2 && sameType(gradient, weight), "weight must be [rows, features], of the gradient's dtype");
  offsetOrBagged(gradient, indices, tensor(stack, 3), tensor(stack, 4), weight.size(0));
  TORCH_CHECK(gradient.size(1) == weight.size(1), "gradient and weight must have the same features");
}

}  // namespace

void addIndices(Table& table) {
  table.merge(Table{
      {"aten::segment_reduce", segmentReduce},
      {"aten::_segment_reduce_backward", segmentReduceBackward},
      {"aten::embedding_bag", someBags},
      {"aten::_embedding_bag", contiguousBags},
      {"aten::_embedding_bag_forward_only", contiguousBags},
      {"aten::_embedding_bag_backward", bagBackward},
      {"aten::_embedding_bag_dense_backward", bagDenseBackward},
      {"aten::_embedding_bag_per_sample_weights_backward", bagWeightsBackward},
      {"aten::_gather_sparse_backward", gatherBackward},
      {"aten::cummaxmin_backward", cumulativeBackward},
      {"aten::_cummax_helper", cumulative},
      {"aten::_cummin_helper", cumulative},
      {"aten::embedding_backward", embedded},
      {"aten::embedding_dense_backward", embedded},
      {"aten::_sobol_engine_ff_", sobol},
      {"aten::_sobol_engine_draw", sobol},
      {"aten::_sobol_engine_initialize_state_", sobolState},
      {"aten::_sobol_engine_scramble_", sobolState},
      {"aten::ctc_loss", ctc},
      {"aten::_ctc_loss", ctc},
      {"aten::_ctc_loss_backward", ctcBackward},
  });
}

}  // namespace ld::guards
