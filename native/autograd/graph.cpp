#include "autograd/graph.h"

#include <torch/csrc/autograd/function.h>

#include <unordered_map>

namespace ld {

std::vector<GraphNode> graphBehind(const at::Tensor& tensor, size_t most) {
  using Node = torch::autograd::Node;
  const auto root = tensor.grad_fn();
  std::vector<GraphNode> found;
  if (!root) return found;
  std::vector<Node*> nodes{root.get()};
  std::unordered_map<const Node*, int64_t> places{{root.get(), 0}};
  for (size_t i = 0; i < nodes.size(); ++i) {
    GraphNode entry{nodes[i]->name(), {}};
    for (const auto& edge : nodes[i]->next_edges()) {
      Node* next = edge.function.get();
      if (next == nullptr) {
        entry.next.push_back(-1);
        continue;
      }
      const auto known = places.find(next);
      if (known != places.end()) {
        entry.next.push_back(known->second);
      } else if (nodes.size() < most) {
        places.emplace(next, static_cast<int64_t>(nodes.size()));
        entry.next.push_back(static_cast<int64_t>(nodes.size()));
        nodes.push_back(next);
      } else {
        entry.next.push_back(-1);
      }
    }
    found.push_back(std::move(entry));
  }
  return found;
}

}  // namespace ld
