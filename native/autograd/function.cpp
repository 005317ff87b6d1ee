#include "autograd/function.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <unordered_set>

#include "autograd/node.h"

namespace ld {

namespace {

using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;
using torch::autograd::VariableInfo;

struct FunctionNode final : Node {
  variable_list apply(variable_list&& gradients) override {
    TORCH_CHECK(!released, torch::autograd::ERR_BACKWARD_TWICE);
    at::OptionalDeviceGuard device;
    for (size_t i = 0; materialize && i < gradients.size(); ++i) {
      if (!gradients[i].defined()) gradients[i] = outputs[i].zeros(device);
    }
    for (const auto& variable : saved) gradients.push_back(variable.unpack(getptr()));
    std::vector<bool> needed;
    for (size_t i = 0; i < num_outputs(); ++i) needed.push_back(task_should_compute_output(i));
    auto results = backward->call(std::move(gradients), std::move(needed));
    TORCH_CHECK(results.size() == num_outputs(), name(), " returned an incorrect number of gradients (expected ",
                num_outputs(), ", got ", results.size(), ")");
    return results;
  }

  void release_variables() override {
    for (auto& variable : saved) variable.reset_data();
    released = true;
  }

  std::string name() const override { return label + "Backward"; }

  std::string label;
  std::shared_ptr<Callback> backward;
  std::vector<SavedVariable> saved;
  std::vector<VariableInfo> outputs;
  bool materialize = true;
  bool released = false;
};

std::unordered_set<at::TensorImpl*> identities(const std::vector<at::Tensor>& tensors) {
  std::unordered_set<at::TensorImpl*> set;
  for (const at::Tensor& tensor : tensors) set.insert(tensor.unsafeGetTensorImpl());
  return set;
}

variable_list noForwardMode(const variable_list&, const variable_list&) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "a custom function has no forward-mode derivative");
}

}  // namespace

std::vector<at::Tensor> attach(FunctionCall call) {
  auto node = makeNode<FunctionNode>();
  node->label = std::move(call.name);
  node->backward = std::move(call.backward);
  node->materialize = call.materialize;
  node->set_next_edges(torch::autograd::collect_next_edges(call.inputs));
  node->clear_input_metadata();

  for (const at::Tensor& tensor : call.dirty) tensor.unsafeGetTensorImpl()->bump_version();
  const std::vector<std::optional<at::Tensor>> raw(call.outputs.begin(), call.outputs.end());
  const auto wrapped = torch::autograd::_wrap_outputs(
      call.inputs, identities(call.notDifferentiable), identities(call.dirty), raw, node, noForwardMode, {},
      [](const at::Tensor& tensor) { return tensor.view_as(tensor); }, false);
  std::vector<at::Tensor> results;
  for (const auto& output : wrapped) results.push_back(output.value());

  for (const at::Tensor& output : results) node->outputs.emplace_back(output);
  // Only now: an output has its history, and a saved output must refer back to the node without owning it.
  for (const at::Tensor& tensor : call.saved) {
    const bool isOutput = tensor.defined() && tensor.grad_fn().get() == node.get();
    node->saved.emplace_back(tensor, isOutput);
  }
  return results;
}

}  // namespace ld
