// The kernels of arithmetic.h in their order. `Run` starts one kernel: on a stream, or on the host in the tests.
#pragma once

#include "kernels/group_norm_silu/arithmetic.h"

namespace ld::group_norm_silu {

// How the work is cut, and the memory between the kernels.
struct Plan {
  Layout sums;     // the reading kernels: enough blocks for every multiprocessor
  Layout writing;  // the writing kernels: a few pixels a thread
  int pack = 1;    // channels that a thread loads at once

  int64_t partialFloats() const { return sums.images * sums.splits * sums.channels * 2; }
  int64_t coefficientFloats() const { return sums.images * sums.groups * 2; }
};

// `elementBytes`: of x; `processors`: multiprocessors of the device.
inline Plan plan(int64_t images, int64_t pixels, int channels, int groups, int elementBytes, int processors) {
  constexpr int kLoadBytes = 16, kBlocksPerProcessor = 4, kPixelsPerThread = 4, kEnough = 1 << 20;
  const int pack = channels % (kLoadBytes / elementBytes) == 0 ? kLoadBytes / elementBytes : 1;
  return {layOut(images, pixels, channels, groups, pack, processors * kBlocksPerProcessor, kPixelsPerThread),
          layOut(images, pixels, channels, groups, pack, kEnough, kPixelsPerThread), pack};
}

template <typename T, bool Silu>
struct Forward {
  using Element = T;
  Plan plan;
  const T* x;
  T* y;
  Affine affine;  // mean and rstd as below
  float* mean;
  float* rstd;
  float* partial;
  float eps;
};

template <typename T, int V, typename Source, typename Run>
void takeMoments(const Plan& plan, Source source, float eps, float* mean, float* rstd, float* partial, Run run) {
  const ChannelSums<T, V, Source> sums{plan.sums, source, partial};
  run(sums, sums.grid());
  const GroupSums<FinishMoments<Source>> finish{plan.sums, partial, {source, eps, mean, rstd}};
  run(finish, finish.grid());
}

template <int V, typename T, bool Silu, typename Run>
void start(const Forward<T, Silu>& f, Run run) {
  takeMoments<T, V>(f.plan, Moments<T>{f.x}, f.eps, f.mean, f.rstd, f.partial, run);
  const Apply<T, V, Silu> apply{f.plan.writing, f.x, f.y, f.affine};
  run(apply, apply.grid());
}

template <typename T>
struct Residual {
  using Element = T;
  Plan plan;
  ResidualMoments<T> source;
  float* mean;
  float* rstd;
  float* partial;
  float eps;
};

template <int V, typename T, typename Run>
void start(const Residual<T>& r, Run run) {
  takeMoments<T, V>(r.plan, r.source, r.eps, r.mean, r.rstd, r.partial, run);
}

template <typename T, bool Silu>
struct Backward {
  using Element = T;
  Plan plan;
  const T* dy;
  const T* x;
  T* dx;  // null where it is not wanted
  Affine affine;
  float* weight;  // gradients; null where they are not wanted
  float* bias;
  float* partial;
  float* coefficients;
};

template <int V, typename T, bool Silu, typename Run>
void start(const Backward<T, Silu>& b, Run run) {
  const ChannelSums<T, V, GradientSums<T, Silu>> sums{b.plan.sums, {b.dy, b.x, b.affine}, b.partial};
  run(sums, sums.grid());
  if (b.weight || b.bias) {
    const ParameterGradients gradients{b.plan.sums, b.partial, b.weight, b.bias};
    run(gradients, gradients.grid());
  }
  if (b.dx) {
    const GroupSums<FinishGradient> finish{b.plan.sums, b.partial, {b.affine.weight, b.affine.rstd, b.coefficients}};
    run(finish, finish.grid());
    const InputGradient<T, V, Silu> gradient{b.plan.writing, b.dy, b.x, b.dx, b.affine, b.coefficients};
    run(gradient, gradient.grid());
  }
}

// Starts the kernels with the pack size of the plan as a constant.
template <typename Arguments, typename Run>
void start(const Arguments& arguments, Run run) {
  constexpr int kPack = 16 / static_cast<int>(sizeof(typename Arguments::Element));
  if (arguments.plan.pack == kPack) {
    start<kPack>(arguments, run);
  } else {
    start<1>(arguments, run);
  }
}

}  // namespace ld::group_norm_silu
