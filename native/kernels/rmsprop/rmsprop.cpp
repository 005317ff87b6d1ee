#include "kernels/rmsprop/rmsprop.h"

#include <ATen/Operators.h>

namespace ld {

void fusedRmsprop(at::TensorList self, at::TensorList grads, at::TensorList squareAvgs, at::TensorList gradAvgs,
                  at::TensorList momentumBuffers, double lr, double alpha, double eps, double weightDecay,
                  double momentum, bool maximize) {
  const size_t count = self.size();
  const auto complete = [count](at::TensorList list) { return list.size() == count; };
  const bool centered = !gradAvgs.empty(), moving = !momentumBuffers.empty();
  TORCH_CHECK(complete(grads) && complete(squareAvgs) && (!centered || complete(gradAvgs)) &&
                  (!moving || complete(momentumBuffers)),
              "every list wants one tensor for each of the ", count, " parameters");
  if (count == 0) return;
  std::vector<at::Tensor> gradients = grads.vec();
  if (maximize) gradients = at::_ops::_foreach_neg::call(gradients);
  if (weightDecay != 0) gradients = at::_ops::_foreach_add_List::call(gradients, self, weightDecay);
  at::_ops::_foreach_mul__Scalar::call(squareAvgs, alpha);
  at::_ops::_foreach_addcmul__Scalar::call(squareAvgs, gradients, gradients, 1 - alpha);
  std::vector<at::Tensor> averages;
  if (centered) {
    at::_ops::_foreach_lerp__Scalar::call(gradAvgs, gradients, 1 - alpha);
    averages = at::_ops::_foreach_addcmul_Scalar::call(squareAvgs, gradAvgs, gradAvgs, -1);
    at::_ops::_foreach_sqrt_::call(averages);
  } else {
    averages = at::_ops::_foreach_sqrt::call(squareAvgs);
  }
  at::_ops::_foreach_add__Scalar::call(averages, eps);
  if (moving) {
    at::_ops::_foreach_mul__Scalar::call(momentumBuffers, momentum);
    at::_ops::_foreach_addcdiv__Scalar::call(momentumBuffers, gradients, averages, 1);
    at::_ops::_foreach_add__List::call(self, momentumBuffers, -lr);
  } else {
    at::_ops::_foreach_addcdiv__Scalar::call(self, gradients, averages, -lr);
  }
}

}  // namespace ld
