// A segment of the graph that keeps no activations and is computed again in the backward pass. As
// torch.utils.checkpoint with use_reentrant=False: gradients reach the parameters that the segment uses
// by the ordinary way, so torch.autograd.grad, hooks and further derivatives work as without it.
//
// The segment's own graph is built once and looked at for the places where it touches the rest of the
// graph: its boundary. One node with the same boundary stands in for it. In the backward pass the
// function runs again and builds the graph again, its boundary is cut off, and the gradients found at the
// cuts are what the node returns.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "runtime/callback.h"

namespace ld {

// Where the segment begins: nodes made from now on belong to it. Executor thread, before the function.
uint64_t beginSegment();

// `outputs` of the function, with the segment's graph; `recompute` runs it again: () -> outputs.
// Returns the outputs with the stand-in as their history.
std::vector<at::Tensor> endSegment(uint64_t begin, const std::vector<at::Tensor>& outputs,
                                   std::shared_ptr<Callback> recompute);

}  // namespace ld
