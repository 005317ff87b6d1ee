#include <c10/util/Exception.h>

#include <cmath>

#include "kernels/group_norm_silu/group_norm_silu.h"

namespace ld {

namespace {

void checkChannels(const char* name, const std::optional<at::Tensor>& values, const at::Tensor& x) {
  if (!values || !values->defined()) return;
  TORCH_CHECK(values->layout() == at::kStrided && values->dim() == 1 && values->size(0) == x.size(1),
              name, " must hold one number for each of the ", x.size(1), " channels, not be of shape ", values->sizes());
  TORCH_CHECK(values->scalar_type() == x.scalar_type() || values->scalar_type() == at::kFloat,
              name, " must have the input's dtype, ", x.scalar_type(), ", or float32, not ", values->scalar_type());
  TORCH_CHECK(values->device() == x.device(), name, " is on ", values->device(), ", the input on ", x.device());
}

void checkInput(const at::Tensor& x, int64_t groups) {
  TORCH_CHECK(x.defined() && !x.is_nested() && x.layout() == at::kStrided && x.dim() >= 2,
              "the input must be a strided tensor [N, C, ...]");
  TORCH_CHECK(at::isFloatingType(x.scalar_type()) && x.element_size() >= 2,
              "the input must be of a float dtype, not ", x.scalar_type());
  TORCH_CHECK(groups > 0 && x.size(1) % groups == 0, "num_groups = ", groups, " does not divide the ", x.size(1), " channels");
}

}  // namespace

void checkGroupNorm(const at::Tensor& x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                    int64_t groups, double eps) {
  checkInput(x, groups);
  TORCH_CHECK(eps >= 0 && std::isfinite(eps), "eps must be a finite number of 0 or more, not ", eps);
  checkChannels("weight", weight, x);
  checkChannels("bias", bias, x);
}

void checkGroupNormBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean, const at::Tensor& rstd,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            int64_t groups) {
  checkInput(x, groups);
  TORCH_CHECK(dy.defined() && !dy.is_nested() && dy.layout() == at::kStrided && dy.sizes() == x.sizes() &&
                  dy.scalar_type() == x.scalar_type() && dy.device() == x.device(),
              "the gradient must have the shape, dtype and device of the input");
  const auto statistics = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const at::Tensor& each : {mean, rstd}) {
    TORCH_CHECK(each.defined() && !each.is_nested() && each.layout() == at::kStrided &&
                    each.sizes() == at::IntArrayRef({x.size(0), groups}) && each.scalar_type() == statistics &&
                    each.device() == x.device(),
                "mean and rstd must be ", statistics, " of shape [", x.size(0), ", ", groups, "] on the input's device");
  }
  checkChannels("weight", weight, x);
  checkChannels("bias", bias, x);
}

}  // namespace ld
