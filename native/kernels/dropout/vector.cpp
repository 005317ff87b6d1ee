#include "kernels/dropout/vector.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>

namespace ld::philox::CPU_CAPABILITY {

namespace {

constexpr int64_t kCounters = kBlock / 4;

// Plain loops, which the compiler makes vectors of: long enough that it does not unroll them first.
void draw(uint64_t block, uint64_t seed, uint32_t (&words)[kBlock]) {
  uint32_t a[kCounters], b[kCounters], c[kCounters], d[kCounters];
  for (int64_t i = 0; i < kCounters; ++i) {
    const uint64_t counter = block * kCounters + static_cast<uint64_t>(i);
    a[i] = static_cast<uint32_t>(counter);
    b[i] = static_cast<uint32_t>(counter >> 32);
    c[i] = d[i] = 0;
  }
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
    for (int64_t i = 0; i < kCounters; ++i) {
      const uint64_t first = uint64_t{0xD2511F53u} * a[i], second = uint64_t{0xCD9E8D57u} * c[i];
      a[i] = static_cast<uint32_t>(second >> 32) ^ b[i] ^ key0;
      b[i] = static_cast<uint32_t>(second);
      c[i] = static_cast<uint32_t>(first >> 32) ^ d[i] ^ key1;
      d[i] = static_cast<uint32_t>(first);
    }
  }
  std::copy_n(a, kCounters, words);
  std::copy_n(b, kCounters, words + kCounters);
  std::copy_n(c, kCounters, words + 2 * kCounters);
  std::copy_n(d, kCounters, words + 3 * kCounters);
}

}  // namespace

template <typename T>
void mask(const T* x, T* y, int64_t count, uint64_t first, uint64_t seed, uint32_t least, acc_t<T> scale) {
  using A = acc_t<T>;
  uint32_t words[kBlock];
  const auto some = [&](int64_t elements) {
    for (int64_t i = 0; i < elements; ++i) y[i] = static_cast<T>(words[i] >= least ? static_cast<A>(x[i]) * scale : A(0));
  };
  for (; count >= kBlock; count -= kBlock, x += kBlock, y += kBlock) {
    draw(first++, seed, words);
    some(kBlock);
  }
  if (count > 0) {
    draw(first, seed, words);
    some(count);
  }
}

#define LD_TYPE(T) template void mask<T>(const T*, T*, int64_t, uint64_t, uint64_t, uint32_t, acc_t<T>);
LD_TYPE(float)
LD_TYPE(double)
LD_TYPE(c10::BFloat16)
LD_TYPE(c10::Half)

}  // namespace ld::philox::CPU_CAPABILITY
