// A node of the graph whose backward is a JavaScript function: torch.autograd.Function.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/callback.h"

namespace ld {

struct FunctionCall {
  std::string name;                               // of the class, for messages
  std::shared_ptr<Callback> backward;             // (gradients, saved) -> gradients of the inputs
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> outputs;                // as forward made them, without history
  std::vector<at::Tensor> saved;
  std::vector<at::Tensor> notDifferentiable;
  std::vector<at::Tensor> dirty;                  // inputs that forward changed in place
  bool materialize = true;                        // an absent gradient comes as zeros
};

// Puts the node between inputs and outputs, and returns the outputs with their history.
std::vector<at::Tensor> attach(FunctionCall call);

}  // namespace ld
