// Hooks on the gradients of a tensor, in JavaScript. As in PyTorch: they run before the gradient is
// accumulated or goes on, in the order of their registration, and a result replaces the gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>

#include "runtime/callback.h"

namespace ld {

// Hooks of one tensor, by the number of their function.
using Hooks = std::map<uint32_t, std::shared_ptr<Callback>>;

// Adds a hook and returns the list in which it stands. `function` must grow from call to call.
std::weak_ptr<Hooks> addHook(const at::Tensor& tensor, uint32_t function, std::shared_ptr<Callback> callback);

}  // namespace ld
