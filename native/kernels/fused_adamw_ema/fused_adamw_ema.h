// One step of AdamW (Loshchilov and Hutter 2019) and of the moving average of the weights, in one pass over memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace torch {
class Library;
}

namespace ld {

// Every list holds one tensor per parameter, all of one dtype and device; averages is empty for a step without moving
// average. state_steps: float32, 0-dim, the number of this step, counted before the call (as libtorch's fused kernels
// want it). With g = grad_scale * grads (grad_scale: 0-dim, none is 1) and n = state_steps:
//   self = self (1 - lr weight_decay);  m = m + (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
//   self = self - lr / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + eps)
//   averages = averages + ema_weight (self - averages)
// The gradients are left as they are.
inline constexpr auto kFusedAdamwEmaSchema =
    "fused_adamw_ema_(Tensor(a!)[] self, Tensor[] grads, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, "
    "Tensor(d!)[] averages, Tensor[] state_steps, *, float lr, float beta1, float beta2, float weight_decay, float eps, "
    "float ema_weight, Tensor? grad_scale=None) -> ()";

// What every backend asks of its arguments.
void checkFusedAdamwEma(at::TensorList self, at::TensorList grads, at::TensorList expAvgs, at::TensorList expAvgSqs,
                        at::TensorList averages, at::TensorList steps, const std::optional<at::Tensor>& gradScale);

void fusedAdamwEmaCpu(at::TensorList self, at::TensorList grads, at::TensorList expAvgs, at::TensorList expAvgSqs,
                      at::TensorList averages, at::TensorList steps, double lr, double beta1, double beta2,
                      double weightDecay, double eps, double emaWeight, const std::optional<at::Tensor>& gradScale);

void registerFusedAdamwEma(torch::Library& library);

}  // namespace ld
