#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <cmath>

#include "cuda/kernels.h"
#include "kernels/fused_adamw_ema/cuda.h"

namespace ld {

namespace {

using namespace adamw;

// As its parameter lies in memory, which a gradient need not.
at::Tensor laidLike(const at::Tensor& gradient, const at::Tensor& parameter) {
  if (gradient.strides() == parameter.strides()) return gradient;
  at::Tensor copy = at::empty_like(parameter);
  copy.copy_(gradient);
  return copy;
}

void checkArguments(at::TensorList self, at::TensorList grads, at::TensorList means, at::TensorList squares, at::TensorList averages,
                    at::TensorList steps) {
  const size_t count = self.size();
  TORCH_CHECK(grads.size() == count && means.size() == count && squares.size() == count && steps.size() == count &&
                  (averages.empty() || averages.size() == count),
              "every list wants one tensor for each of the ", count, " parameters; averages may be empty");
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& parameter = self[i];
    TORCH_CHECK(parameter.scalar_type() == at::kFloat && parameter.is_non_overlapping_and_dense() && parameter.device() == self[0].device(),
                "parameter ", i, " must be dense float32, all on one device; got ", parameter.scalar_type(), " on ", parameter.device());
    const auto fits = [&](const at::Tensor& tensor) {
      return tensor.defined() && tensor.sizes() == parameter.sizes() && tensor.scalar_type() == at::kFloat && tensor.device() == parameter.device();
    };
    const auto alike = [&](const at::Tensor& tensor) { return fits(tensor) && tensor.strides() == parameter.strides(); };
    TORCH_CHECK(fits(grads[i]) && alike(means[i]) && alike(squares[i]) && (averages.empty() || alike(averages[i])),
                "the tensors of parameter ", i, " must have its shape, dtype and device, and lie in memory as it does");
    TORCH_CHECK(steps[i].numel() == 1 && steps[i].scalar_type() == at::kFloat && steps[i].device() == parameter.device(),
                "state_steps must be single float32 numbers on ", parameter.device());
  }
}

void update(at::TensorList self, at::TensorList grads, at::TensorList means, at::TensorList squares, at::TensorList averages,
            at::TensorList steps, double lr, double beta1, double beta2, double weightDecay, double eps, double emaWeight,
            const std::optional<at::Tensor>& gradScale) {
  if (self.empty()) return;
  checkArguments(self, grads, means, squares, averages, steps);
  const c10::cuda::CUDAGuard guard(self[0].device());
  at::Tensor scale;
  if (gradScale && gradScale->defined()) {
    TORCH_CHECK(gradScale->numel() == 1 && gradScale->device() == self[0].device(), "grad_scale must be a single number on ", self[0].device());
    scale = gradScale->to(at::kFloat);
  }
  const auto f = [](double value) { return static_cast<float>(value); };
  const Settings settings{f(1 - lr * weightDecay), f(lr), f(beta1), f(beta2), f(eps), f(emaWeight), f(std::log(beta1)), f(std::log(beta2)),
                          scale.defined() ? scale.const_data_ptr<float>() : nullptr};
  const auto stream = c10::cuda::getCurrentCUDAStream();
  Update group;
  group.settings = settings;
  const auto launch = [&] {
    if (group.grid().x == 0) return;
    startOnDevice(group, stream);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  };
  // Held until all are queued; the stream's order does the rest.
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < self.size(); ++i) {
    gradients.push_back(laidLike(grads[i], self[i]));
    const auto data = [](const at::Tensor& tensor) { return tensor.mutable_data_ptr<float>(); };
    const Parameter parameter{data(self[i]), gradients.back().const_data_ptr<float>(), data(means[i]), data(squares[i]),
                              averages.empty() ? nullptr : data(averages[i]), steps[i].const_data_ptr<float>(), self[i].numel()};
    if (group.push(parameter)) continue;
    launch();
    group.count = 0;
    group.push(parameter);
  }
  launch();
}

}  // namespace

void registerFusedAdamwEmaCuda(torch::Library& library) { library.impl("fused_adamw_ema_", &update); }

}  // namespace ld
