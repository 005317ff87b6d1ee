// The loss of the x0 objective on the logits of a batch: the likelihood of each landmark's pixel under the softmax over
// its channel, and the squared error against the one-hot picture in {-1, +1}, in one pass over the logits each way.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace torch {
class Library;
}

namespace ld {

// logits: [B, N, H, W] in a float dtype, contiguous or channels_last; target: int64 [B, N], y * W + x, any value where
// the mask is 0; mask: float32 [B, N]. With m = mask, known = max(sum of m, 1), and of each channel the largest logit and
// the sum of exp(logits - largest):
//   nll = sum of m (largest + log(exponentials) - logits[target]) / known
//   mse = sum of m mean((logits - x0)^2) / known, x0 = -1 everywhere but 2 m - 1 at the target
// nll and mse are 0-dim, largest and exponentials [B, N]; float32 (float64 for float64 logits). The gradient divides by
// the sum itself: a rounded logarithm would be a factor that all pixels share, and stay in a bias's gradient.
inline constexpr auto kSpatialSoftmaxLossSchema =
    "spatial_softmax_loss(Tensor logits, Tensor target, Tensor mask) -> (Tensor nll, Tensor mse, Tensor largest, Tensor exponentials)";

// Gradient of dnll * nll + dmse * mse, in the dtype and memory format of the logits.
inline constexpr auto kSpatialSoftmaxLossBackwardSchema =
    "spatial_softmax_loss_backward(Tensor dnll, Tensor dmse, Tensor logits, Tensor target, Tensor mask, "
    "Tensor largest, Tensor exponentials) -> Tensor";

// What every backend asks of its arguments. That targets lie inside the picture is for the kernel to see.
void checkSpatialSoftmaxLoss(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask);
void checkSpatialSoftmaxLossBackward(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& logits,
                                     const at::Tensor& target, const at::Tensor& mask, const at::Tensor& largest,
                                     const at::Tensor& exponentials);

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> spatialSoftmaxLossCpu(const at::Tensor& logits, const at::Tensor& target,
                                                                                 const at::Tensor& mask);
at::Tensor spatialSoftmaxLossBackwardCpu(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& logits,
                                         const at::Tensor& target, const at::Tensor& mask, const at::Tensor& largest,
                                         const at::Tensor& exponentials);

void registerSpatialSoftmaxLoss(torch::Library& library);

}  // namespace ld
