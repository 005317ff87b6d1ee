// AdamW and the moving average for many parameters in one launch: the device code, written so that the host can run
// it too (phased.h). What is computed is said in fused_adamw_ema.h.
#pragma once

#include <cmath>

#include "kernels/phased.h"

namespace ld::adamw {

// One parameter; `average` may be null.
struct Parameter {
  float* p;
  const float* g;
  float* m;
  float* v;
  float* average;
  const float* step;
  int64_t count;
};

struct Settings {
  float keep;  // 1 - lr weight_decay
  float lr, beta1, beta2, eps, emaWeight;
  // ln(beta), for beta^n without the rounding of beta itself
  float logBeta1, logBeta2;
  const float* gradScale;  // null for 1
};

// Arguments of a kernel are limited to 4 KiB, so parameters go in groups.
constexpr int kGroup = 48;
constexpr int kThreads = 256;
constexpr int kPerThread = 16;  // four loads of four floats
constexpr int kChunk = kThreads * kPerThread;

struct Update {
  static constexpr int kPhases = 1;
  static constexpr int kMostThreads = kThreads;
  Parameter parameters[kGroup];
  int chunkEnds[kGroup];  // chunks of the parameters so far: which one a block works on
  int count = 0;
  Settings settings;

  Grid grid() const { return {count > 0 ? chunkEnds[count - 1] : 0, 1, 1, kThreads, 0}; }

  // False where there is no room for one more.
  bool push(const Parameter& parameter) {
    if (count == kGroup) return false;
    const int chunks = static_cast<int>((parameter.count + kChunk - 1) / kChunk);
    parameters[count] = parameter;
    chunkEnds[count] = (count > 0 ? chunkEnds[count - 1] : 0) + chunks;
    ++count;
    return true;
  }

  LD_HOST_DEVICE static bool isAligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

  template <int V>
  LD_HOST_DEVICE void update(const Parameter& q, int64_t at, float scale, float size, float root) const {
    auto p = loadPack<float, V>(q.p + at), m = loadPack<float, V>(q.m + at), v = loadPack<float, V>(q.v + at);
    const auto g = loadPack<float, V>(q.g + at);
    for (int i = 0; i < V; ++i) {
      const float gradient = scale * g.values[i];
      float& weight = p.values[i];
      weight *= settings.keep;
      m.values[i] += (1.0f - settings.beta1) * (gradient - m.values[i]);
      v.values[i] = settings.beta2 * v.values[i] + (1.0f - settings.beta2) * gradient * gradient;
      weight -= size * m.values[i] / (sqrtf(v.values[i]) * root + settings.eps);
    }
    storePack<float, V>(q.p + at, p);
    storePack<float, V>(q.m + at, m);
    storePack<float, V>(q.v + at, v);
    if (q.average == nullptr) return;
    auto average = loadPack<float, V>(q.average + at);
    for (int i = 0; i < V; ++i) average.values[i] += settings.emaWeight * (p.values[i] - average.values[i]);
    storePack<float, V>(q.average + at, average);
  }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char*) const {
    int which = 0;
    while (chunkEnds[which] <= block.x) ++which;
    const Parameter& q = parameters[which];
    const int64_t begin = static_cast<int64_t>(block.x - (which > 0 ? chunkEnds[which - 1] : 0)) * kChunk;
    const int64_t end = begin + kChunk < q.count ? begin + kChunk : q.count;
    const float n = *q.step, scale = settings.gradScale ? *settings.gradScale : 1.0f;
    const float size = settings.lr / -expm1f(n * settings.logBeta1);
    const float root = 1.0f / sqrtf(-expm1f(n * settings.logBeta2));
    const bool packed = isAligned(q.p) && isAligned(q.g) && isAligned(q.m) && isAligned(q.v) && isAligned(q.average);
    int64_t at = begin;
    if (packed) {
      for (at += thread * 4; at + 4 <= end; at += kThreads * 4) update<4>(q, at, scale, size, root);
      // What is left over is fewer than four elements, at the end of the parameter.
      at = end - (end - begin) % 4;
    }
    for (at += thread; at < end; at += kThreads) update<1>(q, at, scale, size, root);
  }
};

}  // namespace ld::adamw
