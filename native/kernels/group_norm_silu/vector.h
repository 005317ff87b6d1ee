// The loops of group norm with an optional SiLU, over plain memory. `Last` says that channels are the innermost
// dimension (channels_last); then a row is one pixel's channels, all of them or a part, else one channel's pixels.
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
    // Sum of each channel over `rows` pixels of n channels, and of its squared deviations from `center`.
    template <typename T>
    void channelSums(const T* x, int64_t rows, int64_t n, acc_t<T>* sums);
    template <typename T>
    void channelSquares(const T* x, int64_t rows, int64_t n, const acc_t<T>* center, acc_t<T>* squares);
    // Mean and sum of squared deviations of `count` elements that lie together.
    template <typename T>
    void moments(const T* x, int64_t count, acc_t<T>* mean, acc_t<T>* squares);
    // Rows of x and dx lie one after the other, those of y and dy are yStride apart. The coefficients hold one value per
    // channel: n of them for Last, else `rows`.
    template <typename T, bool Last, bool Silu>
    void apply(const T* x, T* y, int64_t yStride, int64_t rows, int64_t n, const Forward<acc_t<T>>& c);
    // Adds up dv and dv xhat per channel.
    template <typename T, bool Last, bool Silu>
    void sums(const T* dy, int64_t yStride, const T* x, int64_t rows, int64_t n, const Backward<acc_t<T>>& c, acc_t<T>* dv,
              acc_t<T>* dvx);
    template <typename T, bool Last, bool Silu>
    void gradient(const T* dy, int64_t yStride, const T* x, T* dx, int64_t rows, int64_t n, const Backward<acc_t<T>>& c);)

}  // namespace ld::group_norm
