#include "autograd/hooks.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

namespace ld {

namespace {

using torch::autograd::FunctionPreHook;
using torch::autograd::variable_list;

class TensorHooks final : public FunctionPreHook {
 public:
  explicit TensorHooks(size_t index) : index(index) {}

  variable_list operator()(const variable_list& gradients) override {
    variable_list results = gradients;
    if (!results[index].defined()) return results;
    const Hooks now = *hooks;  // a hook may remove itself or add another
    for (const auto& [function, callback] : now) {
      const auto replaced = callback->call({results[index]});
      if (!replaced.empty() && replaced[0].defined()) results[index] = replaced[0];
    }
    return results;
  }

  const size_t index;  // which of the node's gradients
  const std::shared_ptr<Hooks> hooks = std::make_shared<Hooks>();
};

}  // namespace

std::weak_ptr<Hooks> addHook(const at::Tensor& tensor, uint32_t function, std::shared_ptr<Callback> callback) {
  TORCH_CHECK(tensor.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  const auto& node = tensor.grad_fn();
  const size_t index = node ? tensor.output_nr() : 0;
  auto& all = node ? node->tensor_pre_hooks() : torch::autograd::impl::hooks(tensor);
  for (const auto& hook : all) {
    auto* ours = dynamic_cast<TensorHooks*>(hook.get());
    if (ours == nullptr || ours->index != index) continue;
    ours->hooks->emplace(function, std::move(callback));
    return ours->hooks;
  }
  auto fresh = std::make_unique<TensorHooks>(index);
  const auto hooks = fresh->hooks;
  hooks->emplace(function, std::move(callback));
  if (node) {
    node->add_tensor_pre_hook(std::move(fresh));
  } else {
    torch::autograd::impl::add_hook(tensor, std::move(fresh));
  }
  return hooks;
}

}  // namespace ld
