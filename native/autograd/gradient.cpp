#include "autograd/gradient.h"

#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/utils/grad_layout_contract.h>

#include "autograd/node.h"

namespace ld {

namespace {

struct EndNode final : torch::autograd::Node {
  torch::autograd::variable_list apply(torch::autograd::variable_list&&) override { return {}; }
  std::string name() const override { return "EndBackward"; }
};

}  // namespace

void giveHistory(const at::Tensor& tensor) { torch::autograd::set_history(tensor, makeNode<EndNode>()); }

at::Tensor layOut(const at::Tensor& gradient, const at::Tensor& variable) {
  using namespace torch::autograd::utils;
  if (!gradient.defined() || gradient.layout() != at::kStrided || variable.layout() != at::kStrided) return gradient;
  return obeys_layout_contract(gradient, variable) ? gradient : clone_obey_contract(gradient, variable);
}

}  // namespace ld
