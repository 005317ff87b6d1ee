// Launches a kernel of phases (phased.h) on a stream.
#pragma once

#include <cuda_runtime.h>

#include "kernels/phased.h"

namespace ld {

template <int Phase, typename Kernel>
__device__ __forceinline__ void runThread(const Kernel& kernel, Block block, unsigned char* shared) {
  if constexpr (Phase < Kernel::kPhases) {
    if constexpr (Phase > 0) __syncthreads();
    kernel.template run<Phase>(block, static_cast<int>(threadIdx.x), shared);
    runThread<Phase + 1>(kernel, block, shared);
  }
}

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kMostThreads) runKernel(const Kernel kernel) {
  extern __shared__ __align__(16) unsigned char shared[];
  runThread<0>(kernel, {static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z)}, shared);
}

// Starts kernels one after the other on a stream.
struct OnStream {
  cudaStream_t stream;

  template <typename Kernel>
  void operator()(const Kernel& kernel, const Grid& grid) const {
    runKernel<<<dim3(grid.x, grid.y, grid.z), grid.threads, grid.sharedBytes, stream>>>(kernel);
  }
};

}  // namespace ld
