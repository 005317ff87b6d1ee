// The loops of group norm with an optional SiLU, over plain memory. `Last` says that channels are the innermost
// dimension (channels_last); then a row is one pixel's C channels, else one channel's pixels.
#pragma once

#include <cstdint>

#include "kernels/accumulator.h"
#include "kernels/capability.h"

namespace ld::group_norm {

// Of each channel of one image, d being x - center: y = f(a d + b).
template <typename A>
struct Forward {
  const A *center, *a, *b;
};

// xhat = r d, and dx = p dv + q d + k, dv being the gradient before f.
template <typename A>
struct Backward : Forward<A> {
  const A *r, *p, *q, *k;
};

LD_FOR_EACH_CAPABILITY(
    // Mean and sum of squared deviations of each group over `rows` pixels of C = groups * width channels.
    template <typename T>
    void momentsLast(const T* x, int64_t rows, int64_t groups, int64_t width, acc_t<T>* mean, acc_t<T>* squares);
    // The same of `count` elements that lie together.
    template <typename T>
    void moments(const T* x, int64_t count, acc_t<T>* mean, acc_t<T>* squares);
    // The coefficients hold one value per channel: n of them for Last, else `rows`.
    template <typename T, bool Last, bool Silu>
    void apply(const T* x, T* y, int64_t rows, int64_t n, const Forward<acc_t<T>>& c);
    // Adds up dv and dv xhat per channel.
    template <typename T, bool Last, bool Silu>
    void sums(const T* dy, const T* x, int64_t rows, int64_t n, const Backward<acc_t<T>>& c, acc_t<T>* dv, acc_t<T>* dvx);
    template <typename T, bool Last, bool Silu>
    void gradient(const T* dy, const T* x, T* dx, int64_t rows, int64_t n, const Backward<acc_t<T>>& c);)

}  // namespace ld::group_norm
