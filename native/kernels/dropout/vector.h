// Philox4x32-10 (Salmon et al. 2011, Random123), a block of counters at a time. The words of a block of kBlock elements are
// those of kBlock / 4 counters, first all first words, then all second ones: the mask of an element depends on seed and place
// alone, not on threads or instruction sets.
#pragma once

#include <cstdint>

#include "kernels/accumulator.h"
#include "kernels/capability.h"

namespace ld::philox {

inline constexpr int64_t kBlock = 256;

LD_FOR_EACH_CAPABILITY(
    // y = x * scale where an element's word is at least `least`, else 0: of the elements from block `first` on.
    template <typename T>
    void mask(const T* x, T* y, int64_t count, uint64_t first, uint64_t seed, uint32_t least, acc_t<T> scale);)

}  // namespace ld::philox
