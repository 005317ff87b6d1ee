// A kernel as a struct of phases: between two phases all threads of a block meet. The device runs a phase once
// a thread (launch.cuh); the host runs it in a loop over the threads, with the same indices and the same order
// of additions, so that the tests see a kernel's whole arithmetic on a machine without a GPU.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __CUDACC__
#define LD_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define LD_HOST_DEVICE inline
#endif

namespace ld {

// Where a block stands in its grid.
struct Block {
  int x, y, z;
};

struct Grid {
  int x = 1, y = 1, z = 1;
  int threads = 1;
  int sharedBytes = 0;
};

// bfloat16 as its bits, because device code here includes no header of libtorch.
struct BFloat16 {
  uint16_t bits;
};

LD_HOST_DEVICE float toFloat(float value) { return value; }
LD_HOST_DEVICE float toFloat(BFloat16 value) {
  const uint32_t wide = static_cast<uint32_t>(value.bits) << 16;
  float result;
  memcpy(&result, &wide, sizeof(result));
  return result;
}

template <typename T>
LD_HOST_DEVICE T fromFloat(float value);
template <>
LD_HOST_DEVICE float fromFloat<float>(float value) {
  return value;
}
// Rounds to nearest, ties to even; every NaN becomes the one quiet NaN, as in libtorch.
template <>
LD_HOST_DEVICE BFloat16 fromFloat<BFloat16>(float value) {
  if (value != value) return {0x7fc0};
  uint32_t wide;
  memcpy(&wide, &value, sizeof(wide));
  return {static_cast<uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16)};
}

// V neighbouring elements, loaded and stored as one piece (16 bytes where V is 16 / sizeof(T)).
template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
  T values[V];
};

template <typename T, int V>
LD_HOST_DEVICE Pack<T, V> loadPack(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}

template <typename T, int V>
LD_HOST_DEVICE void storePack(T* to, const Pack<T, V>& pack) {
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

template <int Phase, typename Kernel>
LD_HOST_DEVICE void runPhases(const Kernel& kernel, Block block, int threads, unsigned char* shared) {
  if constexpr (Phase < Kernel::kPhases) {
    for (int thread = 0; thread < threads; ++thread) kernel.template run<Phase>(block, thread, shared);
    runPhases<Phase + 1>(kernel, block, threads, shared);
  }
}

// One block after the other, on the calling thread.
template <typename Kernel>
void runOnHost(const Kernel& kernel, const Grid& grid) {
  std::vector<double> shared(static_cast<size_t>(grid.sharedBytes) / sizeof(double) + 1);
  for (int z = 0; z < grid.z; ++z)
    for (int y = 0; y < grid.y; ++y)
      for (int x = 0; x < grid.x; ++x)
        runPhases<0>(kernel, {x, y, z}, grid.threads, reinterpret_cast<unsigned char*>(shared.data()));
}

struct OnHost {
  template <typename Kernel>
  void operator()(const Kernel& kernel, const Grid& grid) const {
    runOnHost(kernel, grid);
  }
};

}  // namespace ld
