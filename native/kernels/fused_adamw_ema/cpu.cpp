#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/fused_adamw_ema/fused_adamw_ema.h"
#include "kernels/fused_adamw_ema/vector.h"

namespace ld {

namespace adamw {

namespace {

constexpr int64_t kChunk = 16384;

template <typename T>
void run(at::TensorList self, const std::vector<at::Tensor>& grads, at::TensorList expAvgs, at::TensorList expAvgSqs,
         at::TensorList averages, const std::vector<Step<T>>& steps) {
  struct Part {
    size_t tensor;
    int64_t first, count;
  };
  std::vector<Part> parts;
  for (size_t i = 0; i < self.size(); ++i) {
    for (int64_t first = 0; first < self[i].numel(); first += kChunk) parts.push_back({i, first, std::min(kChunk, self[i].numel() - first)});
  }
  const auto update = LD_BEST(update<T>);
  at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Part& part = parts[static_cast<size_t>(i)];
      const auto at = [&part](const at::Tensor& tensor) { return static_cast<T*>(tensor.mutable_data_ptr()) + part.first; };
      update(at(self[part.tensor]), static_cast<const T*>(grads[part.tensor].const_data_ptr()) + part.first, at(expAvgs[part.tensor]),
             at(expAvgSqs[part.tensor]), averages.empty() ? nullptr : at(averages[part.tensor]), part.count, steps[part.tensor]);
    }
  });
}

}  // namespace

}  // namespace adamw

void checkFusedAdamwEma(at::TensorList self, at::TensorList grads, at::TensorList expAvgs, at::TensorList expAvgSqs,
                        at::TensorList averages, at::TensorList steps, const std::optional<at::Tensor>& gradScale) {
  TORCH_CHECK(grads.size() == self.size() && expAvgs.size() == self.size() && expAvgSqs.size() == self.size() &&
                  steps.size() == self.size() && (averages.empty() || averages.size() == self.size()),
              "every list wants one tensor for each of the ", self.size(), " parameters; averages may be empty");
  const auto dense = [](const at::Tensor& tensor) { return tensor.defined() && !tensor.is_nested() && tensor.layout() == at::kStrided; };
  for (size_t i = 0; i < self.size(); ++i) {
    const at::Tensor& parameter = self[i];
    TORCH_CHECK(dense(parameter) && parameter.is_non_overlapping_and_dense(), "parameter ", i, " must be dense");
    const auto fits = [&](const at::Tensor& tensor) {
      return dense(tensor) && tensor.sizes() == parameter.sizes() && tensor.scalar_type() == parameter.scalar_type() &&
             tensor.device() == parameter.device() && tensor.device() == self[0].device() && tensor.scalar_type() == self[0].scalar_type();
    };
    TORCH_CHECK(fits(parameter) && fits(grads[i]) && fits(expAvgs[i]) && fits(expAvgSqs[i]) && (averages.empty() || fits(averages[i])),
                "the tensors of parameter ", i, " must have its shape, and all tensors one dtype and device");
    const auto alike = [&](const at::Tensor& tensor) { return tensor.strides() == parameter.strides(); };
    TORCH_CHECK(alike(expAvgs[i]) && alike(expAvgSqs[i]) && (averages.empty() || alike(averages[i])),
                "the statistics and the average of parameter ", i, " must lie in memory as it does");
    TORCH_CHECK(dense(steps[i]) && steps[i].numel() == 1 && steps[i].scalar_type() == at::kFloat, "state_steps must be single float32 numbers");
  }
  if (gradScale && gradScale->defined() && !self.empty()) {
    TORCH_CHECK(dense(*gradScale) && gradScale->numel() == 1 && gradScale->device() == self[0].device() && !gradScale->is_complex(),
                "grad_scale must be a single real number on the parameters' device");
  }
}

void fusedAdamwEmaCpu(at::TensorList self, at::TensorList grads, at::TensorList expAvgs, at::TensorList expAvgSqs,
                      at::TensorList averages, at::TensorList steps, double lr, double beta1, double beta2, double weightDecay,
                      double eps, double emaWeight, const std::optional<at::Tensor>& gradScale) {
  checkFusedAdamwEma(self, grads, expAvgs, expAvgSqs, averages, steps, gradScale);
  if (self.empty()) return;
  // A gradient may lie in another order than its parameter, or be spread by expand.
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < self.size(); ++i) {
    const at::Tensor& gradient = grads[i];
    gradients.push_back(gradient.strides() == self[i].strides() ? gradient : at::empty_like(self[i]).copy_(gradient));
  }
  const double scale = gradScale && gradScale->defined() ? gradScale->item<double>() : 1;
  AT_DISPATCH_FLOATING_TYPES(self[0].scalar_type(), "fused_adamw_ema_", [&] {
    std::vector<adamw::Step<scalar_t>> coefficients;
    for (const at::Tensor& step : steps) {
      const double n = step.item<double>();
      const auto as = [](double value) { return static_cast<scalar_t>(value); };
      coefficients.push_back({as(1 - lr * weightDecay), as(beta1), as(beta2), as(lr / (1 - std::pow(beta1, n))),
                              as(1 / std::sqrt(1 - std::pow(beta2, n))), as(eps), as(emaWeight), as(scale)});
    }
    adamw::run<scalar_t>(self, gradients, expAvgs, expAvgSqs, averages, coefficients);
  });
}

namespace {

void fusedAdamwEmaNone(at::TensorList self, at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList, double, double,
                       double, double, double, double, const std::optional<at::Tensor>&) {
  TORCH_CHECK(self.empty(), "there is no kernel for tensors on ", self[0].device());
}

}  // namespace

void registerFusedAdamwEma(torch::Library& library) {
  library.def(kFusedAdamwEmaSchema);
  library.impl("fused_adamw_ema_", c10::DispatchKey::CPU, &fusedAdamwEmaCpu);
  // Empty lists belong to no device.
  library.impl("fused_adamw_ema_", c10::DispatchKey::CompositeExplicitAutograd, &fusedAdamwEmaNone);
}

}  // namespace ld
