// The loop of AdamW and the moving average over plain memory.
#pragma once

#include <cstdint>

#include "kernels/capability.h"

namespace ld::adamw {

// See kFusedAdamwEmaSchema. `average` may be null.
template <typename T>
struct Step {
  T keep;          // 1 - lr weight_decay
  T beta1, beta2;
  T size;          // lr / (1 - beta1^n)
  T root;          // 1 / sqrt(1 - beta2^n)
  T eps, emaWeight, gradScale;
};

LD_FOR_EACH_CAPABILITY(
    template <typename T>
    void update(T* p, const T* g, T* m, T* v, T* average, int64_t count, const Step<T>& step);)

}  // namespace ld::adamw
