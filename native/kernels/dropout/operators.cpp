#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/dropout/dropout.h"

namespace ld {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::MemoryFormat formatOf(bool channelsLast) { return channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous; }

std::tuple<at::Tensor, at::Tensor> meta(const at::Tensor& x, double p) {
  checkDropout(x, p);
  return {at::empty(x.sizes(), x.options(), formatOf(isMaskedLast(x))), at::empty({}, x.options().dtype(at::kLong))};
}

at::Tensor metaBackward(const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast) {
  checkDropoutBackward(dy, seed, p, channelsLast);
  return at::empty(dy.sizes(), dy.options(), formatOf(channelsLast));
}

const auto& backwardOperator() {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("landmark_diffusion::dropout_backward", "")
                             .typed<at::Tensor(const at::Tensor&, const at::Tensor&, double, bool)>();
  return op;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, double p) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("landmark_diffusion::dropout", "")
                               .typed<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, double)>();
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [y, seed] = op.call(x, p);
    context->save_for_backward({seed});
    context->saved_data["p"] = p;
    context->saved_data["channelsLast"] = isMaskedLast(x);
    context->mark_non_differentiable({seed});
    return {y, seed};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (!gradients[0].defined()) return {{}, {}};
    const auto saved = context->get_saved_variables();
    return {backwardOperator().call(gradients[0], saved[0], context->saved_data["p"].toDouble(), context->saved_data["channelsLast"].toBool()),
            {}};
  }
};

// Linear in dy, by the same mask.
struct Masked : torch::autograd::Function<Masked> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({seed});
    context->saved_data["p"] = p;
    context->saved_data["channelsLast"] = channelsLast;
    return backwardOperator().call(dy, seed, p, channelsLast);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (!gradients[0].defined()) return variable_list(4);
    const auto saved = context->get_saved_variables();
    return {backwardOperator().call(gradients[0], saved[0], context->saved_data["p"].toDouble(), context->saved_data["channelsLast"].toBool()),
            {},
            {},
            {}};
  }
};

std::tuple<at::Tensor, at::Tensor> autograd(const at::Tensor& x, double p) {
  const auto result = Dropout::apply(x, p);
  return {result[0], result[1]};
}

at::Tensor autogradBackward(const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast) {
  return Masked::apply(dy, seed, p, channelsLast);
}

}  // namespace

void registerDropout(torch::Library& library) {
  library.def(kDropoutSchema, {at::Tag::nondeterministic_seeded});
  library.def(kDropoutBackwardSchema);
  library.impl("dropout", c10::DispatchKey::CompositeExplicitAutograd, &dropout);
  library.impl("dropout", c10::DispatchKey::Meta, &meta);
  library.impl("dropout", c10::DispatchKey::Autograd, &autograd);
  library.impl("dropout_backward", c10::DispatchKey::CompositeExplicitAutograd, &dropoutBackward);
  library.impl("dropout_backward", c10::DispatchKey::Meta, &metaBackward);
  library.impl("dropout_backward", c10::DispatchKey::Autograd, &autogradBackward);
}

}  // namespace ld
