// Guards of matrices that are packed for a kernel (fbgemm, four bits), of quantized tensors, and of oneDNN's layers: their
// sizes are taken from whatever tensor has them.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

// (weight [out, in], ...): as many values are read as the first two dimensions tell.
void matrixToPack(const Stack& stack) {
  const auto weight = tensor(stack, 0);
  TORCH_CHECK(strided(weight) && weight.dim() >= 2 && weight.size(0) * weight.size(1) <= weight.numel(), "weight must be a matrix");
}

// (input [.., in], weight [out, in], packed, col_offsets [out], ...)
void eightBits(const Stack& stack) {
  const auto weight = tensor(stack, 1), offsets = tensor(stack, 3);
  TORCH_CHECK(strided(weight) && weight.dim() == 2 && vectorOf(offsets, weight.size(0)) && offsets.defined() && offsets.scalar_type() == at::kInt,
              "wants weight [out, in], and int32 col_offsets [out]");
}

// (self [m, in], mat2 [out, in], scales [out]): the kernel of bfloat16 takes 16 values at a time.
void eightBitsOfCpu(const Stack& stack) {
  const auto self = tensor(stack, 0), packed = tensor(stack, 1), scales = tensor(stack, 2);
  TORCH_CHECK(strided(self) && self.dim() == 2 && strided(packed) && packed.dim() == 2 && packed.size(1) == self.size(1) && strided(scales) &&
                  scales.dim() == 1 && scales.size(0) == packed.size(0),
              "wants self [m, in], mat2 [out, in] and scales [out]");
  TORCH_CHECK(self.scalar_type() != at::kBFloat16 || self.size(1) % 16 == 0, "the length of bfloat16 rows must be a multiple of 16");
}

// (weights, scales_zeros, bias?, block_size, in_features, out_features)
void blocks(const Stack& stack) {
  const int64_t block = stack.at(3).toInt(), in = stack.at(4).toInt();
  TORCH_CHECK(block > 0 && in > 0 && in % block == 0, "block_size must divide in_features, and both be positive");
}

// (self [m, in], mat2 [out, in / 2], group size, scales and zeros [in / group, out, 2])
void fourBitsOfCpu(const Stack& stack) {
  const auto self = tensor(stack, 0), packed = tensor(stack, 1), scales = tensor(stack, 3);
  const int64_t group = stack.at(2).toInt();
  for (const auto& each : {self, packed, scales}) TORCH_CHECK(strided(each), "takes strided tensors only");
  TORCH_CHECK(self.dim() == 2 && packed.dim() == 2 && scales.dim() == 3 && group > 0 && self.size(1) % group == 0 && 2 * packed.size(1) == self.size(1) &&
                  scales.size(0) == self.size(1) / group && scales.size(1) == packed.size(0) && scales.size(2) == 2 && sameType(scales, self),
              "wants self [m, in], mat2 [out, in / 2], and scales and zeros [in / group, out, 2] of the dtype of self");
}

// (self, padding, stride, dilation, groups, ...) of a weight of Rank spatial dimensions: oneDNN divides by them.
template <int64_t Rank>
void reordered(const Stack& stack) {
  const auto self = tensor(stack, 0);
  const int64_t groups = stack.at(4).toInt();
  TORCH_CHECK(self.defined() && !self.is_nested() && self.dim() == Rank + 2 && self.numel() > 0, "self must have ", Rank + 2, " dimensions and be not empty");
  TORCH_CHECK(groups > 0 && self.size(0) % groups == 0, "groups must be positive, and divide the channels");
  for (size_t i : {1, 2, 3}) {
    for (const int64_t number : ints(stack, i)) TORCH_CHECK(number >= (i == 1 ? 0 : 1) && number < (int64_t{1} << 31), "padding, stride or dilation is out of range");
  }
  TORCH_CHECK(!stack.at(5).isIntList() || ints(stack, 5).size() == Rank + 2, "input_size must have ", Rank + 2, " numbers");
}

bool isMatrix(const at::Tensor& weight) { return weight.defined() && !weight.is_nested() && weight.dim() == 2 && weight.numel() > 0; }

// Whether [.., width] are as many rows as `rows` says; any number where it is negative.
bool hasRows(const at::Tensor& tensor, int64_t width, int64_t rows) {
  return tensor.defined() && !tensor.is_nested() && tensor.dim() >= 2 && tensor.size(-1) == width && (rows < 0 || tensor.numel() / width == rows);
}

// (self [.., in], weight [out, in], bias? [out])
void linear(const Stack& stack) {
  const auto self = tensor(stack, 0), weight = tensor(stack, 1), bias = tensor(stack, 2);
  TORCH_CHECK(isMatrix(weight) && self.defined() && !self.is_nested() && self.dim() >= 1 && self.size(-1) == weight.size(1), "wants self [.., in] and weight [out, in]");
  TORCH_CHECK(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)), "bias must be [out]");
}

void linearBackward(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight) {
  TORCH_CHECK(isMatrix(weight) && hasRows(gradient, weight.size(0), -1) && hasRows(input, weight.size(1), gradient.numel() / weight.size(0)),
              "wants the gradient [.., out], the input [.., in] and weight [out, in]");
}

// (self, grad_output, weight, ...)
void linearBackwardAll(const Stack& stack) { linearBackward(tensor(stack, 1), tensor(stack, 0), tensor(stack, 2)); }

// (grad_output, input, weight, ...)
void linearBackwardWeights(const Stack& stack) { linearBackward(tensor(stack, 0), tensor(stack, 1), tensor(stack, 2)); }

// (input_size, grad_output, weight)
void linearBackwardInput(const Stack& stack) {
  const auto size = ints(stack, 0);
  const auto gradient = tensor(stack, 1), weight = tensor(stack, 2);
  TORCH_CHECK(isMatrix(weight) && hasRows(gradient, weight.size(0), -1) && static_cast<int64_t>(size.size()) == gradient.dim() && size.back() == weight.size(1) &&
                  std::equal(size.begin(), size.end() - 1, gradient.sizes().begin()),
              "wants the gradient [.., out], weight [out, in], and input_size [.., in]");
}

// Tensors at Places have Rank spatial dimensions, and one batch and channels.
template <int64_t Rank, size_t... Places>
void pooled(const Stack& stack) {
  for (const size_t place : {Places...}) {
    const auto each = tensor(stack, place);
    TORCH_CHECK(each.defined() && !each.is_nested() && each.dim() == Rank + 2 && each.numel() > 0 && each.sizes().slice(0, 2) == tensor(stack, 0).sizes().slice(0, 2),
                "the tensors must have ", Rank + 2, " dimensions, one batch and channels, and be not empty");
  }
}

// (self, kernel_size, stride, padding, dilation?, ...) over Rank dimensions: oneDNN divides by the length of what is left.
template <int64_t Rank>
void oneDnnWindow(const Stack& stack) {
  const auto& self = stack.at(0).toTensor();
  if (!self.is_mkldnn() || self.dim() != Rank + 2) return;
  const auto kernel = ints(stack, 1), stride = ints(stack, 2), padding = ints(stack, 3), dilation = ints(stack, 4);
  const auto at = [](const std::vector<int64_t>& list, int64_t i) { return list.size() == 1 ? list[0] : list.at(static_cast<size_t>(i)); };
  for (int64_t i = 0; i < Rank && !kernel.empty() && !padding.empty(); ++i) {
    const int64_t step = at(stride.empty() ? kernel : stride, i), reach = (dilation.empty() ? 1 : at(dilation, i)) * (at(kernel, i) - 1) + 1;
    TORCH_CHECK(step <= 0 || (self.size(2 + i) + 2 * at(padding, i) - reach) / step + 1 > 0, "the window is larger than the padded input");
  }
}

template <int64_t Rank>
void oneDnnPool(const Stack& stack) {
  pooled<Rank, 0>(stack);
  oneDnnWindow<Rank>(stack);
}

// (self, ...): strides are divided by lengths.
void transposed(const Stack& stack) {
  const auto& self = stack.at(0).toTensor();
  TORCH_CHECK(!self.is_mkldnn() || (self.dim() > 0 && self.numel() > 0), "a oneDNN tensor that is a number, or empty, has no dimensions to change");
}

// oneDNN takes the memory of each for given.
void filledOneDnn(const Stack& stack) {
  const auto isOneDnn = [](const c10::IValue& value) { return value.isTensor() && value.toTensor().defined() && value.toTensor().is_mkldnn(); };
  if (std::none_of(stack.begin(), stack.end(), isOneDnn)) return;
  for (const auto& value : stack) TORCH_CHECK(!value.isTensor() || value.toTensor().numel() > 0, "one of the tensors is empty");
}

// quantized::cat*(qx[], dim, out?)
void quantizedList(const Stack& stack) {
  for (const auto& each : tensors(stack, 0)) TORCH_CHECK(each.is_quantized(), "takes quantized tensors only");
  TORCH_CHECK(!stack.back().isTensor() || stack.back().toTensor().is_quantized(), "out must be quantized");
}

// quantized::*_norm(input, ...)
void quantizedNorm(const Stack& stack) { TORCH_CHECK(tensor(stack, 0).defined() && tensor(stack, 0).numel() > 0, "input is empty"); }

}  // namespace

void addPacked(Table& table) {
  for (const char* name : {"transpose.int", "transpose_", "_mkldnn_transpose", "_mkldnn_transpose_", "t", "t_", "swapaxes", "swapaxes_", "swapdims", "swapdims_",
                           "adjoint", "mT", "mH", "matrix_H", "numpy_T", "t_copy", "transpose_copy", "norm_except_dim", "_sparse_mm"}) {
    table.emplace(std::string("aten::") + name, transposed);
  }
  for (const char* name : {"fbgemm_pack_gemm_matrix_fp16", "fbgemm_pack_quantized_matrix", "fbgemm_linear_quantize_weight", "_saturate_weight_to_fp16"}) {
    table.emplace(std::string("aten::") + name, matrixToPack);
  }
  table.merge(Table{
      {"aten::fbgemm_linear_int8_weight", eightBits},
      {"aten::fbgemm_linear_int8_weight_fp32_activation", eightBits},
      {"aten::_dyn_quant_pack_4bit_weight", blocks},
      {"aten::_weight_int4pack_mm_for_cpu", fourBitsOfCpu},
      {"aten::_weight_int8pack_mm", eightBitsOfCpu},
      {"aten::mkldnn_reorder_conv2d_weight", reordered<2>},
      {"aten::mkldnn_reorder_conv3d_weight", reordered<3>},
      {"aten::_prelu_kernel", filledOneDnn},
      {"aten::_prelu_kernel_backward", filledOneDnn},
      {"quantized::cat", quantizedList},
      {"quantized::cat_out", quantizedList},
      {"quantized::cat_relu", quantizedList},
      {"quantized::cat_relu_out", quantizedList},
      {"quantized::group_norm", quantizedNorm},
      {"quantized::instance_norm", quantizedNorm},
      {"aten::mkldnn_linear", linear},
      {"aten::mkldnn_linear_backward", linearBackwardAll},
      {"aten::mkldnn_linear_backward_weights", linearBackwardWeights},
      {"aten::mkldnn_linear_backward_input", linearBackwardInput},
      {"aten::mkldnn_max_pool2d", oneDnnPool<2>},
      {"aten::mkldnn_max_pool3d", oneDnnPool<3>},
      {"aten::max_pool2d", oneDnnWindow<2>},
      {"aten::max_pool3d", oneDnnWindow<3>},
      {"aten::avg_pool2d", oneDnnWindow<2>},
      {"aten::avg_pool3d", oneDnnWindow<3>},
      {"aten::mkldnn_max_pool2d_backward", pooled<2, 0, 1, 2>},
      {"aten::mkldnn_max_pool3d_backward", pooled<3, 0, 1, 2>},
      {"aten::mkldnn_adaptive_avg_pool2d", pooled<2, 0>},
      {"aten::mkldnn_adaptive_avg_pool2d_backward", pooled<2, 0, 1>},
  });
}

}  // namespace ld::guards
