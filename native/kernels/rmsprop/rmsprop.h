// One RMSprop step of many parameters. libtorch has fused kernels for SGD and Adam but none for this,
// and lists from which absent gradients are dropped must all come to one operator.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

inline constexpr auto kFusedRmspropSchema =
    "_fused_rmsprop_(Tensor(a!)[] self, Tensor[] grads, Tensor(b!)[] square_avgs, Tensor(c!)[] grad_avgs, "
    "Tensor(d!)[] momentum_buffers, *, float lr, float alpha, float eps, float weight_decay, float momentum, "
    "bool maximize) -> ()";

// grad_avgs is empty for the form that is not centred, momentum_buffers for momentum 0.
void fusedRmsprop(at::TensorList self, at::TensorList grads, at::TensorList squareAvgs, at::TensorList gradAvgs,
                  at::TensorList momentumBuffers, double lr, double alpha, double eps, double weightDecay,
                  double momentum, bool maximize);

}  // namespace ld
