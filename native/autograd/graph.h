// The graph of a backward pass, to be looked at.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ld {

struct GraphNode {
  std::string name;
  // Places in the list of those that get this node's gradients; -1 where an input needs none.
  std::vector<int64_t> next;
};

// The nodes behind a tensor, its own first, breadth first; of a graph with more, the first `most`, with -1 for
// those that come after. Empty where nothing made the tensor that could be differentiated.
std::vector<GraphNode> graphBehind(const at::Tensor& tensor, size_t most);

}  // namespace ld
