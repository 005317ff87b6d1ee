#include "kernels/conv2d/winograd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "kernels/conv2d/prepared.h"
#include "kernels/conv2d/vector.h"

namespace ld::winograd {

namespace {

constexpr int64_t kBlock = 24;       // tiles that are multiplied together: their windows stay in the second cache
constexpr int64_t kSumBlock = 64;    // the same for sums over tiles
constexpr int64_t kFewTiles = 512;   // up to so many, filters cost so much of a convolution that keeping them transformed pays
constexpr int64_t kShared = 131072;  // floats of sums above which each thread has channels of its own, not a copy of all

at::Tensor floats(int64_t count) { return at::empty({count}, at::kFloat); }

Geometry geometryOf(const at::Tensor& x, int64_t outputs, Doubled doubled) {
  const int64_t scale = doubled == Doubled::Input ? 2 : 1;
  return {x.size(0), x.size(2) / scale, x.size(3) / scale, x.size(1), outputs, doubled};
}

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The filters of one convolution, transformed panel by panel.
struct Filters {
  const Geometry& g;
  const at::Tensor& weight;
  bool rotated;

  int64_t panels() const { return ceilDivide(g.outputs, LD_BEST(panelWidth)()); }
  int64_t panelFloats() const { return g.inputs * LD_BEST(panelWidth)(); }
  // From one point to the next, where all panels lie one after the other.
  int64_t stride() const { return pointStride(panels() * panelFloats()); }

  void transform(int64_t panel, int64_t stride, float* u) const {
    LD_BEST(transformWeights)(g, weight.const_data_ptr<float>(), rotated, panel, stride, u);
  }
  void transformAll(float* u) const {
    at::parallel_for(0, panels(), 1, [&](int64_t first, int64_t last) {
      for (int64_t panel = first; panel < last; ++panel) transform(panel, stride(), u + panel * panelFloats());
    });
  }
  at::Tensor all(bool keep) const {
    const int64_t count = g.phases() * kPoints * stride();
    if (keep) return prepared(weight, count, [&](float* u) { transformAll(u); });
    const at::Tensor u = floats(count);
    transformAll(u.mutable_data_ptr<float>());
    return u;
  }
};

// Block by block of tiles: each thread has tiles of its own, and all filters.
void byTiles(const Geometry& g, const at::Tensor& x, const at::Tensor& u, const Addends& addends, float* y) {
  const int64_t block = std::min(kBlock, ceilDivide(g.tiles(), at::get_num_threads()));
  const int64_t each = LD_BEST(convolveScratch)(g, block);
  const at::Tensor scratch = floats(each * at::get_num_threads());
  float* const work = scratch.mutable_data_ptr<float>();
  at::parallel_for(0, g.tiles(), block, [&](int64_t first, int64_t last) {
    LD_BEST(convolve)(g, x.const_data_ptr<float>(), u.const_data_ptr<float>(), addends, y, first, last, block,
                      work + at::get_thread_num() * each);
  });
}

// Panel by panel: each thread has panels of its own, and all windows. The filters of a panel are used while they are in the
// caches, where all of them would go to memory and back.
void byPanels(const Geometry& g, const at::Tensor& x, const Filters& filters, const at::Tensor& kept, const Addends& addends, float* y) {
  const int64_t vStride = pointStride(g.tiles() * g.inputs), ownStride = pointStride(filters.panelFloats());
  const int64_t block = std::min(kBlock, g.tiles()), mFloats = kPoints * pointStride(block * LD_BEST(panelWidth)());
  const int64_t each = mFloats + (kept.defined() ? 0 : kPoints * ownStride);
  const at::Tensor windows = floats(kPoints * vStride), zeros = floats(g.inputs).zero_(), scratch = floats(each * at::get_num_threads());
  float* const v = windows.mutable_data_ptr<float>();
  at::parallel_for(0, g.tiles(), 1, [&](int64_t first, int64_t last) {
    LD_BEST(transformWindows)(g, x.const_data_ptr<float>(), first, last - first, vStride, zeros.const_data_ptr<float>(), v + first * g.inputs);
  });
  at::parallel_for(0, filters.panels(), 1, [&](int64_t first, int64_t last) {
    float* const m = scratch.mutable_data_ptr<float>() + at::get_thread_num() * each;
    for (int64_t panel = first; panel < last; ++panel) {
      float* const own = m + mFloats;
      if (!kept.defined()) filters.transform(panel, ownStride, own);
      const float* const u = kept.defined() ? kept.const_data_ptr<float>() + panel * filters.panelFloats() : own;
      LD_BEST(convolvePanel)(g, v, vStride, u, kept.defined() ? filters.stride() : ownStride, addends, y, panel, block, m);
    }
  });
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, bool rotated, Doubled doubled, const Addends& addends, bool keep) {
  const Geometry g = geometryOf(x, rotated ? weight.size(1) : weight.size(0), doubled);
  const Filters filters{g, weight, rotated};
  const int64_t scale = doubled == Doubled::Output ? 2 : 1;
  const at::Tensor y = at::empty({g.images, g.outputs, scale * g.height, scale * g.width}, x.options(), at::MemoryFormat::ChannelsLast);
  float* const to = y.mutable_data_ptr<float>();
  const bool keeps = keep && g.tiles() <= kFewTiles;
  // Where there are fewer windows than filters.
  if (doubled == Doubled::Neither && g.tiles() < g.outputs && filters.panels() >= at::get_num_threads()) {
    byPanels(g, x, filters, keeps ? filters.all(true) : at::Tensor(), addends, to);
  } else {
    byTiles(g, x, filters.all(keeps), addends, to);
  }
  return y;
}

struct Task {
  int64_t firstTile, lastTile, firstPanel, lastPanel;
};

}  // namespace

at::Tensor forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual, bool keep,
                   bool doubled) {
  const auto data = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr; };
  const Addends addends = {data(bias), bias.defined() && bias.dim() == 2, data(residual)};
  return convolution(x, weight, false, doubled ? Doubled::Output : Doubled::Neither, addends, keep);
}

at::Tensor inputGradient(const at::Tensor& dy, const at::Tensor& weight, bool doubled) {
  return convolution(dy, weight, true, doubled ? Doubled::Input : Doubled::Neither, {nullptr, false, nullptr}, false);
}

std::tuple<at::Tensor, at::Tensor> weightGradients(const at::Tensor& dy, const at::Tensor& x, bool doubled) {
  const Geometry g = geometryOf(x, dy.size(1), doubled ? Doubled::Output : Doubled::Neither);
  const int64_t width = LD_BEST(panelWidth)(), panels = ceilDivide(g.outputs, width), threads = at::get_num_threads();

  // Either every task has tiles of its own and sums of all channels, or the other way round.
  std::vector<Task> tasks;
  const bool apart = panels > 1 && kPoints * g.inputs * panels * width > kShared;
  const int64_t units = apart ? panels : g.tiles(), least = apart ? 1 : kSumBlock;
  const int64_t share = std::max(least, ceilDivide(units, threads));
  for (int64_t first = 0; first < units; first += share) {
    const int64_t last = std::min(units, first + share);
    tasks.push_back(apart ? Task{0, g.tiles(), first, last} : Task{first, last, 0, panels});
  }
  const auto count = static_cast<int64_t>(tasks.size());
  const int64_t most = apart ? share : panels, block = std::min(kSumBlock, g.tiles());
  const int64_t each = g.phases() * pointStride(most * g.inputs * width) * kPoints, biasEach = g.images * most * width;
  const int64_t scratchEach = LD_BEST(correlateScratch)(g, most, block);
  const at::Tensor sums = floats(count * each), scratch = floats(count * scratchEach);
  std::vector<double> biases(static_cast<size_t>(count * biasEach));
  const at::Tensor dweight = at::empty({g.outputs, g.inputs, 3, 3}, x.options()), dbias = at::empty({g.images, g.outputs}, x.options());
  float* const sum = sums.mutable_data_ptr<float>();
  float* const work = scratch.mutable_data_ptr<float>();
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Task& task = tasks[static_cast<size_t>(i)];
      LD_BEST(correlate)(g, x.const_data_ptr<float>(), dy.const_data_ptr<float>(), task.firstTile, task.lastTile, task.firstPanel,
                         task.lastPanel, block, sum + i * each, biases.data() + i * biasEach, work + i * scratchEach);
    }
  });

  float *const dw = dweight.mutable_data_ptr<float>(), *const db = dbias.mutable_data_ptr<float>();
  const auto finish = [&](int64_t task, int64_t parts, int64_t firstPanel, int64_t lastPanel) {
    LD_BEST(weightGradient)(g, sum + task * each, parts, each, firstPanel, lastPanel, dw);
    for (int64_t image = 0; image < g.images; ++image) {
      for (int64_t c = firstPanel * width; c < std::min(lastPanel * width, g.outputs); ++c) {
        const int64_t at = (image * (apart ? tasks[static_cast<size_t>(task)].lastPanel - firstPanel : panels)) * width + c -
                           (apart ? firstPanel * width : 0);
        double total = 0;
        for (int64_t part = 0; part < parts; ++part) total += biases[static_cast<size_t>((task + part) * biasEach + at)];
        db[image * g.outputs + c] = static_cast<float>(total);
      }
    }
  };
  if (apart) {
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) finish(i, 1, tasks[static_cast<size_t>(i)].firstPanel, tasks[static_cast<size_t>(i)].lastPanel);
    });
  } else {
    finish(0, count, 0, panels);
  }
  return {dweight, dbias};
}

}  // namespace ld::winograd
