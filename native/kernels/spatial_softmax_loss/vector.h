// The loops of the spatial softmax loss. `Last` says that channels are the innermost dimension (channels_last): then a
// row is one pixel's channels, else one channel's pixels.
#pragma once

#include <cstdint>

#include "kernels/accumulator.h"
#include "kernels/capability.h"

namespace ld::softmax_loss {

LD_FOR_EACH_CAPABILITY(
    // Of each channel's part: the largest x, the sum of exp(x - largest), and of (x + 1)^2. One value per channel:
    // n for Last, else `rows`.
    template <typename T, bool Last>
    void parts(const T* x, int64_t rows, int64_t n, acc_t<T>* largest, acc_t<T>* exponentials, acc_t<T>* squares);
    // dx = p exp(x - largest) + q (x + 1)
    template <typename T, bool Last>
    void gradient(const T* x, T* dx, int64_t rows, int64_t n, const acc_t<T>* largest, const acc_t<T>* p, const acc_t<T>* q);)

}  // namespace ld::softmax_loss
