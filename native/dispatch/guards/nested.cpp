// Guards of nested tensors.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

bool nested(const at::Tensor& tensor) { return tensor.defined() && tensor.is_nested() && tensor.layout() == at::kStrided; }

// (batch_sizes)
void batchSizes(const Stack& stack) {
  const auto sizes = tensor(stack, 0);
  TORCH_CHECK(isIndex(sizes) && sizes.scalar_type() == at::kLong && sizes.dim() == 2 && sizes.numel() > 0, "wants int64 sizes [tensors, dimensions]");
}

// (self, nested_size [rows, rank], nested_strides [rows, rank], offsets [rows])
void view(const Stack& stack) {
  const auto self = tensor(stack, 0), sizes = tensor(stack, 1), strides = tensor(stack, 2), offsets = tensor(stack, 3);
  for (const auto& each : {sizes, strides, offsets}) {
    TORCH_CHECK(isIndex(each) && each.scalar_type() == at::kLong && each.is_contiguous(), "sizes, strides and offsets must be contiguous int64 on the CPU");
  }
  TORCH_CHECK(strided(self) && self.is_contiguous() && sizes.dim() == 2 && sameSizes(sizes, strides) && offsets.dim() == 1 && offsets.size(0) == sizes.size(0),
              "wants a contiguous buffer, sizes and strides [rows, rank], and offsets [rows]");
  const auto size = valuesOf(sizes), stride = valuesOf(strides), offset = valuesOf(offsets);
  const int64_t rank = sizes.size(1), most = self.numel();
  for (int64_t row = 0; row < sizes.size(0); ++row) {
    TORCH_CHECK(offset[row] >= 0 && offset[row] <= most, "offset ", offset[row], " is out of the buffer's ", most, " values");
    // Rooms for one more step of each stride; no product overflows, because none gets larger than the buffer.
    int64_t room = most - offset[row] - 1;
    for (int64_t i = row * rank; i < (row + 1) * rank; ++i) {
      TORCH_CHECK(size[i] > 0 && stride[i] >= 0 && (size[i] == 1 || stride[i] <= room / (size[i] - 1)), "row ", row, " reaches out of the buffer");
      room -= (size[i] - 1) * stride[i];
    }
  }
}

// (grad_output, self, dim, index)
void selectBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1);
  TORCH_CHECK(strided(gradient) && self.defined() && self.is_nested(), "wants a strided gradient and a nested tensor");
  const int64_t index = stack.at(3).toInt();
  TORCH_CHECK(stack.at(2).toInt() == 0 && index >= 0 && index < self.size(0), "dim must be 0, and index name a row");
  const auto sizes = self._nested_tensor_size().select(0, index);
  TORCH_CHECK(gradient.dim() == sizes.numel() && gradient.sizes() == at::IntArrayRef(valuesOf(sizes)), "the gradient must have the row's shape");
}

// Without kernels for nested tensors, whose ragged sizes they take for numbers.
void notNested(const Stack& stack) {
  for (const auto& value : stack) TORCH_CHECK(!value.isTensor() || !value.toTensor().defined() || !value.toTensor().is_nested(), "takes no nested tensors");
}

// (padded, sizes [rows, dimensions], ...)
void fromPadded(const Stack& stack) {
  TORCH_CHECK(strided(tensor(stack, 1)) && tensor(stack, 1).dim() == 2, "wants sizes [rows, dimensions]");
}

// (self, dim, index): a dimension is not counted from the end.
void select(const Stack& stack) {
  TORCH_CHECK(!nested(stack.at(0).toTensor()) || stack.at(1).toInt() >= 0, "dim of a nested tensor must not be negative");
}

// (self, chunks, dim): rows without dimensions have none to be cut.
void chunk(const Stack& stack) {
  TORCH_CHECK(!nested(stack.at(0).toTensor()) || stack[0].toTensor().dim() > 1, "the rows of a nested tensor must have a dimension");
}

// (grad, self, dim, keepdim): a gradient for each row of the last dimension, read in the order of its memory.
void sumBackward(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1);
  TORCH_CHECK(nested(gradient) && nested(self) && gradient.is_contiguous() && self.is_contiguous(), "wants contiguous nested tensors");
  const auto given = gradient._nested_tensor_size(), whole = self._nested_tensor_size();
  TORCH_CHECK(sameSizes(given, whole) && whole.dim() == 2 && whole.size(1) > 0 && given.select(1, -1).eq(1).all().item<bool>() &&
                  given.slice(1, 0, -1).equal(whole.slice(1, 0, -1)),
              "the rows of the gradient must be those of self, with a last dimension of 1");
}

}  // namespace

void addNested(Table& table) {
  table.merge(Table{
      {"aten::trapz", notNested},
      {"aten::trapezoid", notNested},
      {"aten::cumulative_trapezoid", notNested},
      {"aten::select.int", select},
      {"aten::chunk", chunk},
      {"aten::_nested_sum_backward", sumBackward},
      {"aten::_nested_from_padded", fromPadded},
      {"aten::_nested_select_backward", selectBackward},
      {"aten::_nested_view_from_buffer", view},
      {"aten::_nested_view_from_buffer_copy", view},
      {"aten::_nested_compute_contiguous_strides_offsets", batchSizes},
  });
}

}  // namespace ld::guards
