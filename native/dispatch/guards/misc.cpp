// Guards of operators that stand alone.
#include <limits>

#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

// (self, level, batch_size, out_dim)
void insertedDimension(const Stack& stack) {
  const int64_t dim = stack.at(3).toInt();
  TORCH_CHECK(tensor(stack, 0).defined() && dim >= 0 && dim <= tensor(stack, 0).dim(), "out_dim ", dim, " is no place for a dimension");
}

// _stack(tensors, dim): a single float32 or float64 tensor is copied as if it were contiguous, unless the new dimension is the last.
// Several must have the same strides for that, and all but the first be contiguous.
void stacked(const Stack& stack) {
  const auto tensors = stack.at(0).toTensorVector();
  TORCH_CHECK(!tensors.empty(), "the list of tensors is empty");
  const auto& first = tensors[0];
  if (tensors.size() > 1 || !strided(first) || first.is_contiguous() || (first.scalar_type() != at::kFloat && first.scalar_type() != at::kDouble)) return;
  const int64_t given = stack.at(1).toInt(), dim = given < 0 ? given + first.dim() + 1 : given;
  if (dim < 0 || dim >= first.dim()) return;
  // As many values as the dimensions from dim on have room for, once for each place before them.
  int64_t before = 1;
  for (const int64_t size : first.sizes().slice(0, dim)) before *= size;
  TORCH_CHECK(before * first.size(dim) * first.stride(dim) == first.numel() && first.is_non_overlapping_and_dense(), "a single tensor must be contiguous: stack it by stack()");
}

// (tensors, dim, num_chunks, ...): a tensor without dimensions passes for one that has a first.
void chunked(const Stack& stack) {
  const auto list = tensors(stack, 0);
  const int64_t dim = stack.at(1).toInt();
  for (const auto& each : list) {
    TORCH_CHECK(strided(each) && each.dim() > 0 && dim < each.dim() && dim >= -each.dim(), "dim ", dim, " must be one of each tensor's dimensions");
  }
}

// (grad_in [.., windows, .., size], input_sizes, dim, size, step): each window is added where it was.
void unfolded(const Stack& stack) {
  const auto gradient = tensor(stack, 0);
  auto wanted = ints(stack, 1);
  const int64_t rank = static_cast<int64_t>(wanted.size()), size = stack.at(3).toInt(), step = stack.at(4).toInt();
  const int64_t given = stack.at(2).toInt(), dim = given < 0 ? given + rank : given;
  TORCH_CHECK(strided(gradient) && size >= 0 && step > 0 && (rank == 0 ? dim == 0 || dim == -1 : dim >= 0 && dim < rank), "size, step or dim is out of range");
  if (rank > 0) {
    auto& length = wanted[static_cast<size_t>(dim)];
    TORCH_CHECK(length >= size, "a window of ", size, " does not fit into ", length);
    length = (length - size) / step + 1;
  }
  wanted.push_back(size);
  TORCH_CHECK(gradient.sizes() == at::IntArrayRef(wanted), "the gradient must be ", at::IntArrayRef(wanted));
}

// (self, size, stride): not looked at where the stride is negative, or leads out of the memory.
void aliased(const Stack& stack) {
  const auto self = tensor(stack, 0);
  const auto sizes = ints(stack, 1), strides = ints(stack, 2);
  TORCH_CHECK(strided(self) && sizes.size() == strides.size(), "self must be strided, and size and stride of one length");
  int64_t elements = 1;
  for (const int64_t size : sizes) {
    TORCH_CHECK(size >= 0 && (size == 0 || elements <= (int64_t{1} << 62) / size), "a size is out of range");
    elements *= size;
  }
  // A scalar has one element and no stride.
  int64_t room = self.has_storage() ? static_cast<int64_t>(self.storage().nbytes() / self.element_size()) - self.storage_offset() - 1 : -1;
  TORCH_CHECK(room >= 0 || elements == 0, "self has no memory for any element");
  for (size_t i = 0; i < sizes.size() && elements > 0; ++i) {
    TORCH_CHECK(strides[i] >= 0 && (sizes[i] == 1 || strides[i] <= room / (sizes[i] - 1)), "the strides lead out of the memory of self");
    room -= (sizes[i] - 1) * strides[i];
  }
}

// (values [n], addends? [n]), of libtorch's own tests.
template <at::ScalarType Type>
void added(const Stack& stack) {
  if (stack.at(1).isNone()) return;
  const auto values = tensor(stack, 0);
  TORCH_CHECK(strided(values) && values.scalar_type() == Type && values.dim() == 1, "values must be a vector of ", c10::toString(Type));
  TORCH_CHECK(stack[1].isList() && static_cast<int64_t>(stack[1].toListRef().size()) >= values.size(0), "there must be an addend for each value");
}

// (grad_output, self, ...)
void likeInput(const Stack& stack) {
  TORCH_CHECK(tensor(stack, 0).defined() && tensor(stack, 1).defined() && tensor(stack, 0).layout() == tensor(stack, 1).layout(), "the layouts differ");
  TORCH_CHECK(tensor(stack, 0).is_nested() || sameSizes(tensor(stack, 0), tensor(stack, 1)), "the gradient must have the input's shape");
}

// (grad_output, self, ...): broadcast where oneDNN does not take the gradient's memory for one of the input's shape.
void geluBackward(const Stack& stack) {
  const auto self = tensor(stack, 1);
  const bool plain = strided(tensor(stack, 0)) && strided(self) && self.scalar_type() != at::kFloat && self.scalar_type() != at::kBFloat16;
  if (!plain) likeInput(stack);
}

// (grad_output, output, mask, ...)
void masked(const Stack& stack) {
  if (strided(tensor(stack, 0)) && tensor(stack, 0).numel() == 0) return;
  TORCH_CHECK(sameSizes(tensor(stack, 0), tensor(stack, 1)) && sameType(tensor(stack, 0), tensor(stack, 1)) && sameSizes(tensor(stack, 0), tensor(stack, 2)),
              "gradient, output and mask must have one shape");
}

// (self, mask, dim?, ...)
void maskedForward(const Stack& stack) {
  const auto self = tensor(stack, 0);
  if (!strided(self) || self.dim() == 0) return;
  const int64_t given = stack.at(2).isNone() ? -1 : stack[2].toInt(), dim = given < 0 ? given + self.dim() : given;
  TORCH_CHECK(dim < 0 || dim >= self.dim() || self.size(dim) > 0, "the dimension of the softmax is empty");
}

// (self, src, ...): the memory of self is asked for, which other layouts do not have.
void copied(const Stack& stack) { TORCH_CHECK(strided(tensor(stack, 0)), "self must be a strided tensor"); }

// (self[], src[], ...)
void copiedLists(const Stack& stack) {
  sameLengths(stack);
  for (const auto& each : tensors(stack, 0)) TORCH_CHECK(strided(each), "self must be strided tensors");
}

void allStrided(const Stack& stack) {
  for (const auto& value : stack) {
    TORCH_CHECK(!value.isTensor() || !value.toTensor().defined() || strided(value.toTensor()), "takes strided tensors only");
  }
}

// (grad_output, self [.., C] or [N, C, ..], target, weight?, reduction, ignore_index, ...): written where the targets say.
void classified(const Stack& stack) {
  allStrided(stack);
  const auto self = tensor(stack, 1), target = tensor(stack, 2);
  TORCH_CHECK(self.defined() && self.dim() > 0 && target.defined(), "wants scores of each class, and targets");
  TORCH_CHECK(self.dim() > 1 || target.numel() == 1, "scores of one sample want one target");
  if (!self.is_cpu() || !target.is_cpu()) return;
  const int64_t classes = self.size(self.dim() == 1 ? 0 : 1), ignored = stack.at(5).toInt();
  for (const int64_t value : valuesOf(target)) {
    TORCH_CHECK(value == ignored || (value >= 0 && value < classes), "target ", value, " is none of ", classes, " classes");
  }
}

// (self, dim, ...): the kernel takes a dimension that has one place in memory for one of a single element.
void spread(const Stack& stack) {
  const auto self = tensor(stack, 0);
  if (!strided(self) || self.dim() == 0) return;
  const int64_t given = stack.at(1).toInt(), dim = given < 0 ? given + self.dim() : given;
  TORCH_CHECK(dim < 0 || dim >= self.dim() || self.size(dim) < 2 || self.stride(dim) != 0, "self is expanded along dim: clone it first");
}

// (grad_output, self, target, ...), reduction at a place: a gradient for each sample, or one for all.
template <size_t Reduction>
void marginBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1);
  TORCH_CHECK(strided(gradient) && strided(self), "takes strided tensors only");
  const int64_t wanted = stack.at(Reduction).toInt() == 0 && self.dim() > 1 ? self.size(0) : 1;
  TORCH_CHECK(gradient.numel() == wanted, "the gradient must have ", wanted, " values");
}

// (self, other, self_num_batch_dims)
void batchDimensions(const Stack& stack) {
  const int64_t count = stack.at(2).toInt();
  TORCH_CHECK(strided(tensor(stack, 0)) && strided(tensor(stack, 1)) && count >= 0 && count <= tensor(stack, 0).dim(),
              "self_num_batch_dims must name leading dimensions of self");
}

// (start, end, step, ...): a whole-number result needs a whole step.
void wholeStep(const Stack& stack, at::ScalarType type) {
  if (!at::isIntegralType(type, /*includeBool=*/true)) return;
  const double step = stack.at(2).toScalar().toDouble();
  TORCH_CHECK(step <= -1 || step >= 1, "a step between -1 and 1 is none in ", c10::toString(type));
}

void wholeStepOut(const Stack& stack) {
  if (const auto out = tensor(stack, 3); out.defined()) wholeStep(stack, out.scalar_type());
}

void wholeStepOfType(const Stack& stack) {
  if (!stack.at(3).isNone()) wholeStep(stack, stack[3].toScalarType());
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

// (tensors, dim, out): the kernel of quantized results looks at the first tensor.
void someToCat(const Stack& stack) {
  const auto out = tensor(stack, 2);
  TORCH_CHECK(!out.defined() || !out.is_quantized() || !stack.at(0).toTensorVector().empty(), "the list of tensors is empty");
}

// (self, from, to?, ...): without an end, the kernel of floating-point numbers counts the bits of from + 1 for ever.
void drawn(const Stack& stack) {
  TORCH_CHECK(!stack.at(2).isNone() || stack.at(1).toInt() < std::numeric_limits<int64_t>::max(), "from is the largest number");
}

// (grad_output, self, target, reduction, beta, ...): whole numbers are divided by beta.
void wholeBeta(const Stack& stack) {
  const auto self = tensor(stack, 1);
  TORCH_CHECK(!self.defined() || at::isFloatingType(self.scalar_type()) || std::abs(stack.at(4).toDouble()) >= 1, "a beta below 1 is 0 in ", c10::toString(self.scalar_type()));
}

void quantizedOnly(const Stack& stack) { TORCH_CHECK(tensor(stack, 0).is_quantized(), "self must be quantized"); }

// (count, prob, ...): a count that is no number is drawn for ever.
void counted(const Stack& stack) {
  const auto count = tensor(stack, 0);
  TORCH_CHECK(!strided(count) || !count.is_cpu() || !at::isFloatingType(count.scalar_type()) || !count.isnan().any().item<bool>(), "count holds NaN");
}

// (self, noise, lower, upper, training, ...): the noise is written in the order of its memory.
void noisy(const Stack& stack) {
  const auto self = tensor(stack, 0), noise = tensor(stack, 1);
  if (!stack.at(4).toBool()) return;
  TORCH_CHECK(strided(self) && strided(noise) && noise.sizes() == self.sizes() && sameType(noise, self) && noise.is_non_overlapping_and_dense(),
              "noise must have the shape and dtype of self, and fill its memory");
}

// (self, noise, lower, upper, training, generator, out): out is written as large as self.
void noisyOut(const Stack& stack) {
  noisy(stack);
  TORCH_CHECK(!stack.at(4).toBool() || tensor(stack, 0).numel() == 0 || (sameSizes(tensor(stack, 0), tensor(stack, 6)) && sameType(tensor(stack, 0), tensor(stack, 6))),
              "out must have the shape and dtype of self");
}

// (self, dim, out): the kernel makes out as large as it should be, but takes its dtype for that of self.
void sameTypeOut(const Stack& stack) {
  const auto self = tensor(stack, 0), out = tensor(stack, 2);
  TORCH_CHECK(strided(self) && strided(out) && sameType(self, out), "out must have the dtype of self");
}

void notQuantized(const Stack& stack) {
  TORCH_CHECK(!tensor(stack, 0).is_quantized(), "a quantized tensor has no such view");
}

}  // namespace

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

void sameLengths(const Stack& stack) {
  size_t length = 0;
  for (const auto& value : stack) {
    if (!value.isList()) continue;
    const size_t own = value.toListRef().size();
    if (length == 0) length = own;
    TORCH_CHECK(own > 0 && own == length, "the lists must have one length, and not be empty");
  }
}

void addMisc(Table& table) {
  table.merge(Table{
      {"aten::copy", copied},
      {"aten::_foreach_copy", copiedLists},
      {"aten::_test_optional_intlist", added<at::kInt>},
      {"aten::_test_optional_filled_intlist", added<at::kInt>},
      {"aten::_test_optional_floatlist", added<at::kFloat>},
      {"aten::_reshape_alias", aliased},
      {"aten::_reshape_alias_copy", aliased},
      {"aten::gelu_backward", geluBackward},
      {"aten::_log_softmax_backward_data", likeInput},
      {"aten::_softmax_backward_data", likeInput},
      {"aten::_masked_softmax", maskedForward},
      {"aten::_masked_softmax_backward", masked},
      {"aten::_remove_batch_dim", insertedDimension},
      {"aten::_stack", stacked},
      {"aten::_chunk_cat", chunked},
      {"aten::unfold_backward", unfolded},
      {"aten::cat.out", someToCat},
      {"aten::concat.out", someToCat},
      {"aten::concatenate.out", someToCat},
      {"aten::index_copy", allStrided},
      {"aten::index_copy_", allStrided},
      {"aten::index_add", allStrided},
      {"aten::index_add_", allStrided},
      {"aten::index_reduce", allStrided},
      {"aten::index_reduce_", allStrided},
      {"aten::multi_margin_loss_backward", marginBackward<6>},
      {"aten::multilabel_margin_loss_backward", marginBackward<3>},
      {"aten::median.dim", spread},
      {"aten::median.dim_values", spread},
      {"aten::nanmedian.dim", spread},
      {"aten::nanmedian.dim_values", spread},
      {"aten::nll_loss_forward", allStrided},
      {"aten::nll_loss_backward", classified},
      {"aten::nll_loss2d_forward", allStrided},
      {"aten::nll_loss2d_backward", classified},
      {"aten::_new_zeros_with_same_feature_meta", batchDimensions},
      {"aten::range.out", wholeStepOut},
      {"aten::range.step", wholeStepOfType},
      {"aten::choose_qparams_optimized", quantizationSearch},
      {"aten::binomial", counted},
      {"aten::smooth_l1_loss_backward", wholeBeta},
      {"aten::int_repr", quantizedOnly},
      {"aten::random_.from", drawn},
      {"aten::random.from", drawn},
      {"aten::random.from_out", drawn},
      {"aten::rrelu_with_noise.out", noisyOut},
      {"aten::rrelu_with_noise_functional", noisy},
      {"aten::rrelu_with_noise", noisy},
      {"aten::rrelu_with_noise_", noisy},
      {"aten::_logcumsumexp.out", sameTypeOut},
      {"aten::_lazy_clone", notQuantized},
      {"aten::_neg_view", notQuantized},
      {"aten::_neg_view_copy", notQuantized},
      {"aten::view.dtype", notQuantized},
      {"aten::view_copy.dtype", notQuantized},
      {"aten::view_copy.dtype_out", notQuantized},
  });
}

}  // namespace ld::guards
