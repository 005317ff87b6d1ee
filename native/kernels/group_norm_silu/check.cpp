#include <c10/util/Exception.h>

#include <cmath>
#include <utility>

#include "kernels/group_norm_silu/group_norm_silu.h"

namespace ld {

namespace {

void checkChannels(const char* name, const std::optional<at::Tensor>& values, const at::Tensor& x, int64_t channels) {
  if (!values || !values->defined()) return;
  TORCH_CHECK(values->layout() == at::kStrided && values->dim() == 1 && values->size(0) == channels,
              name, " must hold one number for each of the ", channels, " channels, not be of shape ", values->sizes());
  TORCH_CHECK(values->scalar_type() == x.scalar_type() || values->scalar_type() == at::kFloat,
              name, " must have the input's dtype, ", x.scalar_type(), ", or float32, not ", values->scalar_type());
  TORCH_CHECK(values->device() == x.device(), name, " is on ", values->device(), ", the input on ", x.device());
}

// The shape of all channels together.
std::vector<int64_t> checkInput(at::TensorList x, int64_t groups) {
  std::vector<int64_t> sizes;
  for (const at::Tensor& each : x) {
    TORCH_CHECK(each.defined() && !each.is_nested() && each.layout() == at::kStrided && each.dim() >= 2,
                "the input must be a strided tensor [N, C, ...]");
    TORCH_CHECK(at::isFloatingType(each.scalar_type()) && each.element_size() >= 2,
                "the input must be of a float dtype, not ", each.scalar_type());
    if (sizes.empty()) {
      sizes = each.sizes().vec();
      continue;
    }
    const int64_t before = std::exchange(sizes[1], each.size(1));
    TORCH_CHECK(each.sizes() == at::IntArrayRef(sizes) && each.scalar_type() == x[0].scalar_type() && each.device() == x[0].device(),
                "the tensors must be alike but for their channels, not ", x[0].scalar_type(), x[0].sizes(), " on ", x[0].device(), " and ",
                each.scalar_type(), each.sizes(), " on ", each.device());
    sizes[1] += before;
  }
  TORCH_CHECK(groups > 0 && sizes[1] % groups == 0, "num_groups = ", groups, " does not divide the ", sizes[1], " channels");
  return sizes;
}

}  // namespace

std::vector<int64_t> checkGroupNorm(at::TensorList x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                                    int64_t groups, double eps) {
  auto sizes = checkInput(x, groups);
  TORCH_CHECK(eps >= 0 && std::isfinite(eps), "eps must be a finite number of 0 or more, not ", eps);
  checkChannels("weight", weight, x[0], sizes[1]);
  checkChannels("bias", bias, x[0], sizes[1]);
  return sizes;
}

void checkGroupNormBackward(const at::Tensor& dy, at::TensorList x, const at::Tensor& mean, const at::Tensor& rstd,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            int64_t groups) {
  const auto sizes = checkInput(x, groups);
  TORCH_CHECK(dy.defined() && !dy.is_nested() && dy.layout() == at::kStrided && dy.sizes() == at::IntArrayRef(sizes) &&
                  dy.scalar_type() == x[0].scalar_type() && dy.device() == x[0].device(),
              "the gradient must have the shape, dtype and device of the input");
  const auto statistics = dy.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const at::Tensor& each : {mean, rstd}) {
    TORCH_CHECK(each.defined() && !each.is_nested() && each.layout() == at::kStrided &&
                    each.sizes() == at::IntArrayRef({sizes[0], groups}) && each.scalar_type() == statistics &&
                    each.device() == dy.device(),
                "mean and rstd must be ", statistics, " of shape [", sizes[0], ", ", groups, "] on the input's device");
  }
  checkChannels("weight", weight, dy, sizes[1]);
  checkChannels("bias", bias, dy, sizes[1]);
}

}  // namespace ld
