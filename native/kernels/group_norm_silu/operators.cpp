#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/native_group_norm.h>
#include <ATen/ops/native_group_norm_backward.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <c10/core/DispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/group_norm_silu/group_norm_silu.h"

namespace ld {

namespace {

using Optional = std::optional<at::Tensor>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Optional in(const Optional& values, const at::Tensor& x) {
  return values && values->defined() ? Optional(values->to(x.scalar_type())) : std::nullopt;
}

template <bool Silu>
GroupNormResult cpu(const at::Tensor& x, const Optional& weight, const Optional& bias, int64_t groups, double eps) {
  return groupNormCpu(x, weight, bias, groups, eps, Silu);
}

template <bool Silu>
GroupNormResult cpuBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean, const at::Tensor& rstd,
                            const Optional& weight, const Optional& bias, int64_t groups, std::array<bool, 3> mask) {
  return groupNormBackwardCpu(dy, x, mean, rstd, weight, bias, groups, mask, Silu);
}

// For devices without a kernel of ours, by libtorch's operators; a kernel registered for a device goes before it.
template <bool Silu>
GroupNormResult composite(const at::Tensor& x, const Optional& weight, const Optional& bias, int64_t groups, double eps) {
  checkGroupNorm(x, weight, bias, groups, eps);
  const int64_t images = x.size(0), channels = x.size(1), pixels = x.numel() / std::max<int64_t>(images * channels, 1);
  auto [y, mean, rstd] = at::native_group_norm(x.contiguous(), in(weight, x), in(bias, x), images, channels, pixels, groups, eps);
  const auto statistics = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  y = (Silu ? at::silu(y) : y).contiguous(x.suggest_memory_format());
  return {y, mean.to(statistics), rstd.to(statistics)};
}

template <bool Silu>
GroupNormResult compositeBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean, const at::Tensor& rstd,
                                  const Optional& weight, const Optional& bias, int64_t groups, std::array<bool, 3> mask) {
  checkGroupNormBackward(dy, x, mean, rstd, weight, bias, groups);
  const int64_t images = x.size(0), channels = x.size(1), pixels = x.numel() / std::max<int64_t>(images * channels, 1);
  const at::Tensor input = x.contiguous();
  at::Tensor gradient = dy.contiguous();
  if (Silu) {
    // The normalised values are not kept: from the statistics they are made again.
    const std::vector<int64_t> grouped = {images, groups, -1}, one = {images, groups, 1};
    at::Tensor v = (input.reshape(grouped) - mean.reshape(one)).mul_(rstd.reshape(one)).reshape(x.sizes());
    std::vector<int64_t> channel(static_cast<size_t>(x.dim()), 1);
    channel[1] = channels;
    if (weight && weight->defined()) v = v * weight->reshape(channel);
    if (bias && bias->defined()) v = v + bias->reshape(channel);
    gradient = at::silu_backward(gradient, v.to(x.scalar_type()));
  }
  auto [dx, dweight, dbias] = at::native_group_norm_backward(gradient, input, mean.to(x.scalar_type()), rstd.to(x.scalar_type()), in(weight, x),
                                                             images, channels, pixels, groups, mask);
  const auto as = [](const at::Tensor& gradient, const Optional& parameter) {
    return gradient.defined() && parameter && parameter->defined() ? gradient.to(parameter->scalar_type()) : gradient;
  };
  return {mask[0] ? dx.contiguous(x.suggest_memory_format()) : dx, as(dweight, weight), as(dbias, bias)};
}

GroupNormResult meta(const at::Tensor& x, const Optional& weight, const Optional& bias, int64_t groups, double eps) {
  checkGroupNorm(x, weight, bias, groups, eps);
  const auto format = x.suggest_memory_format();
  const auto mean = at::empty({x.size(0), groups}, x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat));
  return {at::empty(x.sizes(), x.options(), x.is_contiguous(format) ? format : at::MemoryFormat::Contiguous), mean, at::empty_like(mean)};
}

GroupNormResult metaBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean, const at::Tensor& rstd,
                             const Optional& weight, const Optional& bias, int64_t groups, std::array<bool, 3> mask) {
  checkGroupNormBackward(dy, x, mean, rstd, weight, bias, groups);
  const auto format = x.suggest_memory_format();
  const auto parameter = [&](bool wanted, const Optional& like) {
    if (!wanted) return at::Tensor();
    const auto dtype = like && like->defined() ? like->scalar_type() : mean.scalar_type();
    return at::empty({x.size(1)}, x.options().dtype(dtype));
  };
  at::Tensor dx;
  if (mask[0]) dx = at::empty(x.sizes(), x.options(), x.is_contiguous(format) ? format : at::MemoryFormat::Contiguous);
  return {dx, parameter(mask[1], weight), parameter(mask[2], bias)};
}

// The operators as the dispatcher knows them, so that autograd serves every device that has a kernel.
template <bool Silu>
const auto& forwardOperator() {
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow(Silu ? "landmark_diffusion::group_norm_silu" : "landmark_diffusion::group_norm", "")
                                 .typed<GroupNormResult(const at::Tensor&, const Optional&, const Optional&, int64_t, double)>();
  return handle;
}

template <bool Silu>
const auto& backwardOperator() {
  static const auto handle =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow(Silu ? "landmark_diffusion::group_norm_silu_backward" : "landmark_diffusion::group_norm_backward", "")
          .typed<GroupNormResult(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const Optional&,
                                 const Optional&, int64_t, std::array<bool, 3>)>();
  return handle;
}

template <bool Silu>
struct GroupNorm : torch::autograd::Function<GroupNorm<Silu>> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const Optional& weight, const Optional& bias, int64_t groups,
                               double eps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [y, mean, rstd] = forwardOperator<Silu>().call(x, weight, bias, groups, eps);
    context->save_for_backward({x, weight.value_or(at::Tensor()), bias.value_or(at::Tensor()), mean, rstd});
    context->saved_data["groups"] = groups;
    context->saved_data["eps"] = eps;
    context->mark_non_differentiable({mean, rstd});
    return {y, mean, rstd};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2];
    const int64_t groups = context->saved_data["groups"].toInt();
    const auto& dy = gradients[0];
    if (!dy.defined()) return variable_list(5);
    if (at::GradMode::is_enabled()) return differentiable(dy, x, weight, bias, groups, context->saved_data["eps"].toDouble());
    // Edges are counted over the tensors that are there.
    const std::array<bool, 3> mask = {context->needs_input_grad(0), weight.defined() && context->needs_input_grad(1),
                                      bias.defined() && context->needs_input_grad(weight.defined() ? 2 : 1)};
    auto [dx, dweight, dbias] = backwardOperator<Silu>().call(dy, x, saved[3], saved[4], weight.defined() ? Optional(weight) : std::nullopt,
                                                              bias.defined() ? Optional(bias) : std::nullopt, groups, mask);
    return {dx, dweight, dbias, {}, {}};
  }

  // Where the gradient is to be differentiated again, it is made of operators that can be.
  static variable_list differentiable(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                      int64_t groups, double eps) {
    at::Tensor y = at::group_norm(x, groups, in(weight, x), in(bias, x), eps);
    if (Silu) y = at::silu(y);
    variable_list wanted, result(5);
    std::vector<size_t> places;
    for (const auto& [place, input] : {std::pair<size_t, at::Tensor>{0, x}, {1, weight}, {2, bias}}) {
      if (!input.defined() || !input.requires_grad()) continue;
      wanted.push_back(input);
      places.push_back(place);
    }
    const auto found = torch::autograd::grad({y}, wanted, {dy}, /*retain_graph=*/true, /*create_graph=*/true);
    for (size_t i = 0; i < places.size(); ++i) result[places[i]] = found[i];
    return result;
  }
};

template <bool Silu>
GroupNormResult autograd(const at::Tensor& x, const Optional& weight, const Optional& bias, int64_t groups, double eps) {
  const auto result = GroupNorm<Silu>::apply(x, weight, bias, groups, eps);
  return {result[0], result[1], result[2]};
}

template <bool Silu>
void registerOne(torch::Library& library, const std::string& name) {
  const std::string arguments = "(Tensor x, Tensor? weight, Tensor? bias, int num_groups, float eps) -> (Tensor y, Tensor mean, Tensor rstd)";
  const std::string backwardArguments =
      "(Tensor dy, Tensor x, Tensor mean, Tensor rstd, Tensor? weight, Tensor? bias, int num_groups, bool[3] output_mask) "
      "-> (Tensor dx, Tensor dweight, Tensor dbias)";
  library.def((name + arguments).c_str());
  library.def((name + "_backward" + backwardArguments).c_str());
  library.impl(name.c_str(), c10::DispatchKey::CompositeExplicitAutograd, &composite<Silu>);
  library.impl(name.c_str(), c10::DispatchKey::CPU, &cpu<Silu>);
  library.impl(name.c_str(), c10::DispatchKey::Meta, &meta);
  library.impl(name.c_str(), c10::DispatchKey::Autograd, &autograd<Silu>);
  const std::string backward = name + "_backward";
  library.impl(backward.c_str(), c10::DispatchKey::CompositeExplicitAutograd, &compositeBackward<Silu>);
  library.impl(backward.c_str(), c10::DispatchKey::CPU, &cpuBackward<Silu>);
  library.impl(backward.c_str(), c10::DispatchKey::Meta, &metaBackward);
  library.impl(backward.c_str(), c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
}

}  // namespace

void registerGroupNorm(torch::Library& library) {
  registerOne<false>(library, "group_norm");
  registerOne<true>(library, "group_norm_silu");
}

}  // namespace ld
