// Guards of normalisations: their statistics and weights have one value per channel, row or slice.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"
#include "dispatch/guards/tensors.h"

namespace ld::guards {

namespace {

// (v, g, dim, ...): norms over all dimensions but one.
void weightNorm(const at::Tensor& v, const at::Tensor& g, int64_t dim) {
  TORCH_CHECK(strided(v) && strided(g) && v.dim() > 0 && v.numel() > 0, "v and g must be strided and not empty");
  TORCH_CHECK(dim == 0 || dim == v.dim() - 1, "dim must be the first or the last dimension of v");
  TORCH_CHECK(g.numel() == v.size(dim) && g.scalar_type() == v.scalar_type(), "g must have one value per slice of v, of its dtype");
  // The norms are given the strides of g.
  TORCH_CHECK(!overlapsItself(g), "g has several elements in one place; clone it first");
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

// oneDNN reads as many values of each as the input has channels, as float32.
void oneDnnBatchNorm(const Stack& stack) {
  const auto input = tensor(stack, 0);
  TORCH_CHECK(input.dim() >= 2 && input.numel() > 0, "input must have channels in its second dimension, and be not empty");
  for (size_t i = 1; i < 5; ++i) {
    const auto each = tensor(stack, i);
    TORCH_CHECK(each.defined() ? perChannel(each, input) && each.scalar_type() == at::kFloat : i > 2, "weight, bias and statistics must be float32 of one value per channel");
  }
}

// (input, weight?, bias?, running_mean?, running_var?, training, ...)
void batchNorm(const Stack& stack) {
  if (const auto input = tensor(stack, 0); input.defined() && input.is_mkldnn()) {
    oneDnnBatchNorm(stack);
  } else {
    channels<0, 1, 2, 3, 4>(stack);
  }
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
  TORCH_CHECK(tensor(stack, 1).numel() > 0, "input is empty");
  const size_t used = stack.at(7).toBool() ? 5 : 3;
  TORCH_CHECK(sameSizes(tensor(stack, 0), tensor(stack, 1)) && tensor(stack, used).defined() && tensor(stack, used + 1).defined(),
              "gradient must have the input's shape, and the statistics that were used must be there");
}

// (impl_index, input, grad_output, weight?, running_mean?, running_var?, save_mean?, save_invstd?, train, ...): which of the others is
// used depends on the implementation.
void batchNormOfImplBackward(const Stack& stack) {
  const auto input = tensor(stack, 1);
  TORCH_CHECK(strided(input) && input.dim() >= 2, "input must have channels in its second dimension");
  // An empty one is summed over all dimensions but the second, without any of the others.
  if (input.numel() == 0) return;
  channels<1, 3, 4, 5, 6, 7>(stack);
  const int64_t implementation = stack.at(0).toInt();
  TORCH_CHECK(implementation == 0 || !input.is_cpu(), "impl_index must be 0 on the CPU");
  const size_t used = implementation > 0 || stack.at(8).toBool() ? 6 : 4;
  TORCH_CHECK(sameSizes(input, tensor(stack, 2)) && tensor(stack, used).defined() && tensor(stack, used + 1).defined(),
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

// Of the Input, N, C, HxW and group from place First on.
template <size_t Input, size_t First>
void groupNorm(const Stack& stack) {
  const auto input = tensor(stack, Input);
  const int64_t batch = stack.at(First).toInt(), width = stack.at(First + 1).toInt(), area = stack.at(First + 2).toInt(), groups = stack.at(First + 3).toInt();
  TORCH_CHECK(batch >= 0 && width > 0 && area >= 0 && groups > 0 && width % groups == 0, "group must divide C, and both be positive");
  TORCH_CHECK(strided(input) && input.dim() >= 2 && input.size(0) == batch && input.size(1) == width, "input must be [N, C, ...]");
}

}  // namespace

void addNorms(Table& table) {
  table.merge(Table{
      {"aten::_native_batch_norm_legit.no_stats", batchNormWithoutStatistics},
      {"aten::_native_batch_norm_legit.no_stats_out", batchNormWithoutStatistics},
      {"aten::_weight_norm", weightNormAny},
      {"aten::_weight_norm_interface", weightNormForward},
      {"aten::_weight_norm_interface_backward", weightNormBackward},
      {"aten::batch_norm_update_stats", updatedStatistics},
      {"aten::native_batch_norm", batchNorm},
      {"aten::_native_batch_norm_legit", batchNorm},
      {"aten::_native_batch_norm_legit_functional", batchNorm},
      {"aten::_batch_norm_with_update", batchNorm},
      {"aten::_batch_norm_with_update_functional", batchNorm},
      {"aten::_native_batch_norm_legit_no_training", batchNorm},
      {"aten::native_batch_norm_backward", batchNormBackward},
      {"aten::batch_norm_backward", batchNormBackward},
      {"aten::_batch_norm_impl_index_backward", batchNormOfImplBackward},
      {"aten::native_layer_norm_backward", layerNormBackward},
      {"aten::_batch_norm_no_update", batchNorm},
      {"aten::native_group_norm", groupNorm<0, 3>},
      {"aten::native_group_norm_backward", groupNorm<1, 5>},
  });
}

}  // namespace ld::guards
