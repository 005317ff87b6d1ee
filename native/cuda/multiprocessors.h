// How many multiprocessors a device has: enough work for all of them is what makes a kernel fast.
#pragma once

#include <c10/core/Device.h>
#include <c10/cuda/CUDAException.h>
#include <cuda_runtime_api.h>

namespace ld {

inline int multiprocessors(c10::Device device) {
  int count = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device.index()));
  return count;
}

}  // namespace ld
