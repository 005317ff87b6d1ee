// Dropout in one pass on the CPU. What is dropped follows from one number that the default generator gives, so that no mask
// is kept: the backward pass makes it again. libtorch's own mask comes from a serial generator on processors of other makers
// than MKL's, and takes as long as the convolutions beside it.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace torch {
class Library;
}

namespace ld {

// x: float, on the CPU -> y, dense as x where x is (in channels_last too), else contiguous; and the seed of its mask, an
// int64 scalar. Each element is zero with probability p, else x / (1 - p).
inline constexpr auto kDropoutSchema = "dropout(Tensor x, float p) -> (Tensor y, Tensor seed)";

// The same elements of dy dropped. channels_last: whether y was in channels_last, in whose order the mask is.
inline constexpr auto kDropoutBackwardSchema = "dropout_backward(Tensor dy, Tensor seed, float p, bool channels_last) -> Tensor";

void checkDropout(const at::Tensor& x, double p);
void checkDropoutBackward(const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast);

// Whether the mask of such a tensor is in the order of channels_last.
bool isMaskedLast(const at::Tensor& x);

std::tuple<at::Tensor, at::Tensor> dropout(const at::Tensor& x, double p);
at::Tensor dropoutBackward(const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast);

void registerDropout(torch::Library& library);

}  // namespace ld
