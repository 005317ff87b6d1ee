// Guards of convolutions.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

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

// (ggI?, ggW?, ggb?, gO, weight, self, stride, padding, dilation, transposed, output_padding, groups, ...)
void doubleBackward(const Stack& stack) {
  const auto weight = tensor(stack, 4);
  TORCH_CHECK(strided(weight) && weight.dim() >= 3 && stack.at(11).toInt() > 0, "weight must be [out, in / groups, ..], and groups positive");
  for (size_t i : {0, 1, 3, 5}) {
    const auto each = tensor(stack, i);
    TORCH_CHECK((i < 3 && !each.defined()) || (strided(each) && each.dim() == weight.dim()), "the gradients and the input must have the weight's dimensions");
  }
  TORCH_CHECK(!tensor(stack, 2).defined() || (strided(tensor(stack, 2)) && tensor(stack, 2).dim() == 1), "ggb must have 1 dimension");
  for (size_t i : {6, 7, 8, 10}) {
    const auto count = static_cast<int64_t>(ints(stack, i).size());
    TORCH_CHECK(count == weight.dim() - 2, "stride, padding, dilation and output_padding must have a number for each spatial dimension");
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

// (self, weight [out, in, ..], kernel_size, ...)
void kernelSize(const Stack& stack) {
  const auto weight = tensor(stack, 1);
  const auto kernel = ints(stack, 2);
  TORCH_CHECK(strided(weight) && weight.dim() >= 2 && weight.sizes().slice(2) == at::IntArrayRef(kernel), "kernel_size must be that of the weight, [out, in, ..]");
}

}  // namespace

void addConvolutions(Table& table) {
  for (const char* name : {"_slow_conv2d_forward", "thnn_conv2d", "slow_conv3d", "slow_conv3d_forward", "slow_conv_dilated2d", "slow_conv_dilated3d",
                           "slow_conv_transpose2d", "slow_conv_transpose3d", "_conv_depthwise2d", "conv_depthwise3d"}) {
    table.emplace(std::string("aten::") + name, kernelSize);
  }
  table.merge(Table{
      {"aten::_nnpack_spatial_convolution", nnpack},
      {"aten::_convolution_double_backward", doubleBackward},
      {"aten::_slow_conv2d_backward", slowConvolution},
      {"aten::mkldnn_rnn_layer_backward", needsItsWorkspace},
      {"mkldnn::_reorder_mkldnn_rnn_layer_weight", rnnWeights},
  });
}

}  // namespace ld::guards
