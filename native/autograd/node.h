// Makes a node of libtorch's graph. Its owners are counted inside of it in newer releases, outside in older ones.
#pragma once

#include <torch/csrc/autograd/function.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace ld {

template <typename Node, typename Base = torch::autograd::Node, typename... Arguments>
auto makeNode(Arguments&&... arguments) {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, Base>) {
    return c10::make_intrusive<Node>(std::forward<Arguments>(arguments)...);
  } else {
    // Their deleter takes a long chain of nodes apart without recursion.
    return std::shared_ptr<Node>(new Node(std::forward<Arguments>(arguments)...), [](Base* node) { deleteNode(node); });
  }
}

}  // namespace ld
