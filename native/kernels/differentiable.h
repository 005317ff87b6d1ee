// Gradients that are to be differentiated again, for operators whose own backward cannot be.
#pragma once

#include <torch/csrc/autograd/autograd.h>

#include <cstddef>
#include <vector>

namespace ld {

// The gradients of `inputs`, given that of y, which differentiable operators made of them; undefined for those that are
// undefined or require none.
inline torch::autograd::variable_list gradientsOf(const at::Tensor& y, const torch::autograd::variable_list& inputs, const at::Tensor& dy) {
  torch::autograd::variable_list wanted, gradients(inputs.size());
  std::vector<size_t> places;
  for (size_t place = 0; place < inputs.size(); ++place) {
    if (!inputs[place].defined() || !inputs[place].requires_grad()) continue;
    wanted.push_back(inputs[place]);
    places.push_back(place);
  }
  if (wanted.empty()) return gradients;
  const auto found = torch::autograd::grad({y}, wanted, {dy}, /*retain_graph=*/true, /*create_graph=*/true);
  for (size_t i = 0; i < places.size(); ++i) gradients[places[i]] = found[i];
  return gradients;
}

}  // namespace ld
