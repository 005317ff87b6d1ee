// Guards of padding and pooling.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

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

// (grad_output, self, padding): the kernel reads as many numbers as it needs.
template <int64_t Padded>
void replicated(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1);
  TORCH_CHECK(self.dim() == Padded + 1 || self.dim() == Padded + 2, "input must have ", Padded + 1, " or ", Padded + 2, " dimensions");
  TORCH_CHECK(gradient.dim() == self.dim(), "gradient must have the dimensions of the input");
  TORCH_CHECK(gradient.sizes().slice(0, self.dim() - Padded) == self.sizes().slice(0, self.dim() - Padded), "gradient must have the batch and channels of the input");
  TORCH_CHECK(ints(stack, 2).size() == 2 * Padded, "padding must have ", 2 * Padded, " numbers");
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

// Gradient and input of a pooling over the last `rank` dimensions go together.
void pooled(const at::Tensor& gradient, const at::Tensor& self, int64_t rank) {
  TORCH_CHECK(strided(gradient) && strided(self) && (self.dim() == rank + 1 || self.dim() == rank + 2) && gradient.dim() == self.dim() &&
                  filled(self, rank + 1) && sameType(gradient, self),
              "gradient and input must both have ", rank + 1, " or ", rank + 2, " dimensions, one dtype, and be not empty");
  TORCH_CHECK(gradient.sizes().slice(0, self.dim() - rank) == self.sizes().slice(0, self.dim() - rank),
              "gradient and input must have the same batch and channels");
}

// (grad_output, self)
template <int64_t Rank>
void averagePool(const Stack& stack) {
  pooled(tensor(stack, 0), tensor(stack, 1), Rank);
}

// (grad_output, self, ..., indices): where in its plane of the input each maximum was.
template <int64_t Rank, size_t Indices>
void maximumPool(const Stack& stack) {
  const auto gradient = tensor(stack, 0), self = tensor(stack, 1), indices = tensor(stack, Indices);
  pooled(gradient, self, Rank);
  TORCH_CHECK(sameSizes(gradient, indices) && indices.scalar_type() == at::kLong, "indices must be int64 of the gradient's shape");
  int64_t plane = 1;
  for (const int64_t size : self.sizes().slice(self.dim() - Rank)) plane *= size;
  within(self, indices, plane, "indices");
}

// As `maximumPool`; the kernel reads the indices as if they were contiguous.
void contiguousMaximumPool(const Stack& stack) {
  maximumPool<3, 2>(stack);
  TORCH_CHECK(tensor(stack, 2).is_contiguous(), "indices must be contiguous");
}

// (self, kernel_size, stride, padding, dilation, ...): the kernel's numbers are multiplied.
void lengthPool(const Stack& stack) {
  for (size_t i = 1; i < 5; ++i) {
    for (const int64_t number : ints(stack, i)) TORCH_CHECK(number >= 0 && number < (int64_t{1} << 31), "kernel_size, stride, padding or dilation is out of range");
  }
}

// (grad_output [N, C, ..], input [N, C, ..], grid [N, .., Rank], ...)
template <int64_t Rank>
void sampled(const Stack& stack) {
  const auto gradient = tensor(stack, 0), input = tensor(stack, 1), grid = tensor(stack, 2);
  for (const auto& each : {gradient, input, grid}) {
    TORCH_CHECK(strided(each) && each.dim() == Rank + 2 && sameType(each, input), "gradient, input and grid must have ", Rank + 2, " dimensions and one dtype");
  }
  TORCH_CHECK(gradient.sizes().slice(0, 2) == input.sizes().slice(0, 2) && grid.size(0) == input.size(0) && grid.size(-1) == Rank &&
                  gradient.sizes().slice(2) == grid.sizes().slice(1, Rank),
              "gradient must have the batch and channels of the input and the places of the grid");
}

// A place in the input is the place in the output divided by a scale, as an int of 32 bits in some kernels.
void scaled(const Stack& stack) {
  constexpr double kMost = 1 << 30;
  int64_t longest = 1;
  for (const auto& value : stack) {
    if (!value.isIntList()) continue;
    for (const int64_t size : value.toIntVector()) longest = std::max(longest, size);
  }
  const auto check = [&](double scale) {
    TORCH_CHECK(!(scale > 0) || static_cast<double>(longest) / scale < kMost, "a scale of ", scale, " leads out of the input");
  };
  for (const auto& value : stack) {
    if (value.isDouble()) check(value.toDouble());
    if (value.isDoubleList()) {
      for (const double scale : value.toDoubleVector()) check(scale);
    }
  }
}

// (self, output_size, align_corners, scales..., with antialias): each place of the output lies within the input.
template <size_t Rank>
void antialiased(const Stack& stack) {
  scaled(stack);
  const auto self = tensor(stack, 0);
  const auto size = ints(stack, 1);
  if (!strided(self) || self.dim() != Rank + 2 || size.size() != Rank || stack.at(2).toBool()) return;
  for (size_t i = 0; i < Rank && 3 + i < stack.size(); ++i) {
    if (!stack[3 + i].isDouble()) continue;
    const double scale = stack[3 + i].toDouble();
    TORCH_CHECK(!(scale > 0) || static_cast<double>(size[i] - 1) / scale < static_cast<double>(self.size(static_cast<int64_t>(2 + i))),
                "a scale of ", scale, " leads out of the input");
  }
}

}  // namespace

void addPooling(Table& table) {
  for (const char* name : {"nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d", "bicubic2d", "trilinear3d"}) {
    table.emplace(std::string("aten::upsample_") + name, scaled);
    table.emplace(std::string("aten::upsample_") + name + "_backward", scaled);
  }
  for (const char* name : {"bilinear2d_aa", "bicubic2d_aa", "lanczos2d_aa"}) {
    table.emplace(std::string("aten::_upsample_") + name, antialiased<2>);
    table.emplace(std::string("aten::_upsample_") + name + "_backward", scaled);
  }
  for (const char* name : {"nearest_exact1d", "nearest_exact2d", "nearest_exact3d"}) {
    table.emplace(std::string("aten::_upsample_") + name, scaled);
    table.emplace(std::string("aten::_upsample_") + name + "_backward", scaled);
  }
  table.merge(Table{
      {"aten::max_pool1d", lengthPool},
      {"aten::grid_sampler_2d_backward", sampled<2>},
      {"aten::_grid_sampler_2d_cpu_fallback_backward", sampled<2>},
      {"aten::grid_sampler_3d_backward", sampled<3>},
      {"aten::_adaptive_avg_pool2d_backward", averagePool<2>},
      {"aten::_adaptive_avg_pool3d_backward", averagePool<3>},
      {"aten::adaptive_avg_pool3d_backward", averagePool<3>},
      {"aten::avg_pool2d_backward", averagePool<2>},
      {"aten::avg_pool3d_backward", averagePool<3>},
      {"aten::adaptive_max_pool2d_backward", maximumPool<2, 2>},
      {"aten::adaptive_max_pool3d_backward", contiguousMaximumPool},
      {"aten::max_pool2d_with_indices_backward", maximumPool<2, 7>},
      {"aten::max_pool3d_with_indices_backward", maximumPool<3, 7>},
      {"aten::reflection_pad1d_backward", reflected<1>},
      {"aten::reflection_pad2d_backward", reflected<2>},
      {"aten::reflection_pad3d_backward", reflected<3>},
      {"aten::replication_pad1d_backward", replicated<1>},
      {"aten::replication_pad2d_backward", replicated<2>},
      {"aten::replication_pad3d_backward", replicated<3>},
      {"aten::fractional_max_pool2d_backward", fractionalPool<2>},
      {"aten::fractional_max_pool3d_backward", fractionalPool<3>},
  });
}

}  // namespace ld::guards
