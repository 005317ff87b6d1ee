#include "autograd/checkpoint.h"

#include <ATen/SequenceNumber.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <unordered_set>

#include "autograd/node.h"

namespace ld {

namespace {

using torch::autograd::Edge;
using torch::autograd::edge_list;
using torch::autograd::Node;
using torch::autograd::variable_list;

bool isBoundary(const Edge& edge, uint64_t begin) {
  return edge.function->sequence_nr() < begin ||
         dynamic_cast<torch::autograd::AccumulateGrad*>(edge.function.get()) != nullptr;
}

// Shows every boundary edge of the segment above `edges`, to be read or replaced.
void visitBoundary(edge_list& edges, uint64_t begin, const std::function<void(Edge&)>& visit) {
  std::unordered_set<Node*> seen;
  std::vector<edge_list*> pending{&edges};
  while (!pending.empty()) {
    edge_list& level = *pending.back();
    pending.pop_back();
    for (Edge& edge : level) {
      if (!edge.is_valid()) continue;
      if (isBoundary(edge, begin)) {
        visit(edge);
      } else if (seen.insert(edge.function.get()).second) {
        pending.push_back(&edge.function->next_edges());
      }
    }
  }
}

size_t find(const edge_list& edges, const Edge& wanted) {
  return static_cast<size_t>(std::find(edges.begin(), edges.end(), wanted) - edges.begin());
}

edge_list edgesOf(const std::vector<at::Tensor>& tensors) {
  edge_list edges;
  for (const at::Tensor& tensor : tensors) {
    edges.push_back(tensor.requires_grad() ? torch::autograd::impl::gradient_edge(tensor) : Edge());
  }
  return edges;
}

// Stands where the segment met the boundary, and passes on to it: further derivatives take that way.
struct CutNode final : Node {
  explicit CutNode(const Edge& boundary) : Node(edge_list{boundary}) {
    input_metadata_.emplace_back(boundary.function->input_metadata(boundary.input_nr));
  }
  variable_list apply(variable_list&& gradients) override { return gradients; }
  std::string name() const override { return "CutBackward"; }
};

struct SegmentNode final : Node {
  variable_list apply(variable_list&& gradients) override {
    TORCH_CHECK(!released, torch::autograd::ERR_BACKWARD_TWICE);
    const uint64_t begin = beginSegment();
    const auto outputs = recompute->call({});
    TORCH_CHECK(outputs.size() == kinds.size(), "checkpoint: the function returned ", kinds.size(), " tensors and ",
                outputs.size(), " when it was computed again");
    for (size_t i = 0; i < outputs.size(); ++i) {
      TORCH_CHECK(kinds[i].matches(outputs[i]), "checkpoint: result ", i, " of the function was ", kinds[i].text(),
                  " and is ", Kind(outputs[i]).text(), " when computed again");
    }

    // The engine stops in front of the cuts, so the hooks of the boundary run once, later.
    edge_list roots = edgesOf(outputs);
    edge_list cuts(num_outputs());
    visitBoundary(roots, begin, [&](Edge& edge) {
      const size_t at = find(boundary, edge);
      TORCH_CHECK(at < cuts.size(), "checkpoint: the function used other tensors when it was computed again");
      if (!cuts[at].is_valid()) cuts[at] = Edge(makeNode<CutNode>(edge), 0);
      edge = cuts[at];
    });

    edge_list from, to;
    variable_list seeds;
    std::vector<size_t> places;
    size_t seed = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!kinds[i].differentiable) continue;
      const at::Tensor& gradient = gradients[seed++];
      if (!gradient.defined() || !roots[i].is_valid()) continue;
      from.push_back(roots[i]);
      seeds.push_back(gradient);
    }
    for (size_t i = 0; i < cuts.size(); ++i) {
      if (!cuts[i].is_valid() || !task_should_compute_output(i)) continue;
      to.push_back(cuts[i]);
      places.push_back(i);
    }
    variable_list results(num_outputs());
    if (from.empty() || to.empty()) return results;
    const bool further = at::GradMode::is_enabled();
    auto found = torch::autograd::Engine::get_default_engine().execute(from, seeds, /*keep_graph=*/further,
                                                                       /*create_graph=*/further,
                                                                       /*accumulate_grad=*/false, to);
    for (size_t i = 0; i < places.size(); ++i) results[places[i]] = std::move(found[i]);
    return results;
  }

  void release_variables() override { released = true; }

  std::string name() const override { return "CheckpointBackward"; }

  // What a result must be when it is computed again.
  struct Kind {
    explicit Kind(const at::Tensor& tensor)
        : shape(tensor.sizes().vec()), dtype(tensor.scalar_type()), differentiable(tensor.requires_grad()) {}
    bool matches(const at::Tensor& tensor) const {
      return tensor.defined() && tensor.sizes() == shape && tensor.scalar_type() == dtype &&
             tensor.requires_grad() == differentiable;
    }
    std::string text() const {
      std::ostringstream out;
      out << c10::toString(dtype) << at::IntArrayRef(shape) << (differentiable ? " with" : " without") << " gradient";
      return out.str();
    }
    std::vector<int64_t> shape;
    at::ScalarType dtype;
    bool differentiable;
  };

  std::shared_ptr<Callback> recompute;
  // As found in the forward pass; a segment around this one may have put its own cuts into next_edges().
  edge_list boundary;
  std::vector<Kind> kinds;
  bool released = false;
};

}  // namespace

uint64_t beginSegment() { return at::sequence_number::peek(); }

std::vector<at::Tensor> endSegment(uint64_t begin, const std::vector<at::Tensor>& outputs,
                                   std::shared_ptr<Callback> recompute) {
  auto node = makeNode<SegmentNode>();
  node->recompute = std::move(recompute);
  edge_list roots = edgesOf(outputs), boundary;
  visitBoundary(roots, begin, [&](Edge& edge) {
    if (find(boundary, edge) == boundary.size()) boundary.push_back(edge);
  });
  node->boundary = boundary;
  node->set_next_edges(std::move(boundary));
  std::vector<at::Tensor> results;
  for (const at::Tensor& output : outputs) {
    node->kinds.emplace_back(output);
    results.push_back(output.requires_grad() ? output.detach() : output);
    if (output.requires_grad()) torch::autograd::set_history(results.back(), node);
  }
  return results;
}

}  // namespace ld
