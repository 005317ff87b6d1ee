#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/native_group_norm.h>
#include <ATen/ops/native_group_norm_backward.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <c10/core/DispatchKeySet.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/differentiable.h"
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
  const auto gradients = groupNormBackwardCpu(dy, x, mean, rstd, weight, bias, groups, mask, Silu);
  return {mask[0] ? gradients.x[0] : at::Tensor(), gradients.weight, gradients.bias};
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

// group_norm_silu of two tensors whose channels follow one another. The CPU reads them where they lie; elsewhere, and in
// other formats, they are joined first, by the operators above.
using JoinedGradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

GroupNormResult joined(const at::Tensor& x, const at::Tensor& other, const Optional& weight, const Optional& bias, int64_t groups,
                       double eps) {
  checkGroupNorm({x, other}, weight, bias, groups, eps);
  return forwardOperator<true>().call(at::cat({x, other}, 1), weight, bias, groups, eps);
}

JoinedGradients joinedBackward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& other, const at::Tensor& mean,
                               const at::Tensor& rstd, const Optional& weight, const Optional& bias, int64_t groups,
                               std::array<bool, 3> mask) {
  checkGroupNormBackward(dy, {x, other}, mean, rstd, weight, bias, groups);
  const auto [dx, dweight, dbias] = backwardOperator<true>().call(dy, at::cat({x, other}, 1), mean, rstd, weight, bias, groups, mask);
  if (!mask[0]) return {at::Tensor(), at::Tensor(), dweight, dbias};
  const auto part = [&](int64_t first, const at::Tensor& like) {
    return dx.narrow(1, first, like.size(1)).clone(like.suggest_memory_format());
  };
  return {part(0, x), part(x.size(1), other), dweight, dbias};
}

GroupNormResult joinedCpu(const at::Tensor& x, const at::Tensor& other, const Optional& weight, const Optional& bias, int64_t groups,
                          double eps) {
  checkGroupNorm({x, other}, weight, bias, groups, eps);
  if (!groupNormReadsTogether({x, other})) return joined(x, other, weight, bias, groups, eps);
  return groupNormCpu({x, other}, weight, bias, groups, eps, true);
}

JoinedGradients joinedBackwardCpu(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& other, const at::Tensor& mean,
                                  const at::Tensor& rstd, const Optional& weight, const Optional& bias, int64_t groups,
                                  std::array<bool, 3> mask) {
  checkGroupNormBackward(dy, {x, other}, mean, rstd, weight, bias, groups);
  if (!groupNormReadsTogether({x, other})) return joinedBackward(dy, x, other, mean, rstd, weight, bias, groups, mask);
  const auto gradients = groupNormBackwardCpu(dy, {x, other}, mean, rstd, weight, bias, groups, mask, true);
  return {mask[0] ? gradients.x[0] : at::Tensor(), mask[0] ? gradients.x[1] : at::Tensor(), gradients.weight, gradients.bias};
}

const auto& joinedOperator() {
  static const auto handle =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("landmark_diffusion::joined_group_norm_silu", "")
          .typed<GroupNormResult(const at::Tensor&, const at::Tensor&, const Optional&, const Optional&, int64_t, double)>();
  return handle;
}

const auto& joinedBackwardOperator() {
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("landmark_diffusion::joined_group_norm_silu_backward", "")
                                 .typed<JoinedGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                        const at::Tensor&, const Optional&, const Optional&, int64_t, std::array<bool, 3>)>();
  return handle;
}

// With or without a second tensor of channels.
template <bool Silu>
struct GroupNorm : torch::autograd::Function<GroupNorm<Silu>> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const Optional& other, const Optional& weight,
                               const Optional& bias, int64_t groups, double eps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [y, mean, rstd] = other ? joinedOperator().call(x, *other, weight, bias, groups, eps)
                                 : forwardOperator<Silu>().call(x, weight, bias, groups, eps);
    context->save_for_backward(
        {x, other.value_or(at::Tensor()), weight.value_or(at::Tensor()), bias.value_or(at::Tensor()), mean, rstd});
    context->saved_data["groups"] = groups;
    context->saved_data["eps"] = eps;
    context->mark_non_differentiable({mean, rstd});
    return {y, mean, rstd};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &other = saved[1], &weight = saved[2], &bias = saved[3], &mean = saved[4], &rstd = saved[5];
    const int64_t groups = context->saved_data["groups"].toInt();
    const auto& dy = gradients[0];
    if (!dy.defined()) return variable_list(6);
    if (at::GradMode::is_enabled()) return differentiable(dy, saved, groups, context->saved_data["eps"].toDouble());
    // Edges are counted over the tensors that are there.
    size_t edge = 0;
    const auto wanted = [&](const at::Tensor& input) { return input.defined() && context->needs_input_grad(edge++); };
    const bool first = wanted(x), second = wanted(other);
    const std::array<bool, 3> mask = {first || second, wanted(weight), wanted(bias)};
    const auto optional = [](const at::Tensor& tensor) { return tensor.defined() ? Optional(tensor) : std::nullopt; };
    if (other.defined()) {
      auto [dx, dother, dweight, dbias] =
          joinedBackwardOperator().call(dy, x, other, mean, rstd, optional(weight), optional(bias), groups, mask);
      return {dx, dother, dweight, dbias, {}, {}};
    }
    auto [dx, dweight, dbias] = backwardOperator<Silu>().call(dy, x, mean, rstd, optional(weight), optional(bias), groups, mask);
    return {dx, {}, dweight, dbias, {}, {}};
  }

  // Where the gradient is to be differentiated again, it is made of operators that can be.
  static variable_list differentiable(const at::Tensor& dy, const variable_list& saved, int64_t groups, double eps) {
    const at::Tensor &other = saved[1], x = other.defined() ? at::cat({saved[0], other}, 1) : saved[0];
    at::Tensor y = at::group_norm(x, groups, in(saved[2], x), in(saved[3], x), eps);
    if (Silu) y = at::silu(y);
    return gradientsOf(y, {saved[0], other, saved[2], saved[3], {}, {}}, dy);
  }
};

template <bool Silu>
GroupNormResult autograd(const at::Tensor& x, const Optional& weight, const Optional& bias, int64_t groups, double eps) {
  const auto result = GroupNorm<Silu>::apply(x, std::nullopt, weight, bias, groups, eps);
  return {result[0], result[1], result[2]};
}

GroupNormResult joinedAutograd(const at::Tensor& x, const at::Tensor& other, const Optional& weight, const Optional& bias, int64_t groups,
                               double eps) {
  const auto result = GroupNorm<true>::apply(x, other, weight, bias, groups, eps);
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

void registerJoined(torch::Library& library) {
  library.def("joined_group_norm_silu(Tensor x, Tensor other, Tensor? weight, Tensor? bias, int num_groups, float eps) "
              "-> (Tensor y, Tensor mean, Tensor rstd)");
  library.def("joined_group_norm_silu_backward(Tensor dy, Tensor x, Tensor other, Tensor mean, Tensor rstd, Tensor? weight, "
              "Tensor? bias, int num_groups, bool[3] output_mask) -> (Tensor dx, Tensor dother, Tensor dweight, Tensor dbias)");
  library.impl("joined_group_norm_silu", c10::DispatchKey::CompositeExplicitAutograd, &joined);
  library.impl("joined_group_norm_silu", c10::DispatchKey::CPU, &joinedCpu);
  library.impl("joined_group_norm_silu", c10::DispatchKey::Meta, &joined);
  library.impl("joined_group_norm_silu", c10::DispatchKey::Autograd, &joinedAutograd);
  library.impl("joined_group_norm_silu_backward", c10::DispatchKey::CompositeExplicitAutograd, &joinedBackward);
  library.impl("joined_group_norm_silu_backward", c10::DispatchKey::CPU, &joinedBackwardCpu);
  library.impl("joined_group_norm_silu_backward", c10::DispatchKey::Meta, &joinedBackward);
  library.impl("joined_group_norm_silu_backward", c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
}

}  // namespace

void registerGroupNorm(torch::Library& library) {
  registerOne<false>(library, "group_norm");
  registerOne<true>(library, "group_norm_silu");
  registerJoined(library);
}

}  // namespace ld
