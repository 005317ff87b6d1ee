// The kernels on a GPU. Raw pointers only: a .cu file that includes libtorch takes minutes to compile.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/group_norm_silu/steps.h"

namespace ld::group_norm_silu {

// Queued on the stream; launch errors are left for cudaGetLastError.
template <typename Arguments>
void startOnDevice(const Arguments& arguments, cudaStream_t stream);

}  // namespace ld::group_norm_silu
