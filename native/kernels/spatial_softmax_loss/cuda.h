// The kernels on a GPU; raw pointers only (see group_norm_silu/cuda.h).
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/spatial_softmax_loss/steps.h"

namespace ld::softmax_loss {

template <typename Arguments>
void startOnDevice(const Arguments& arguments, cudaStream_t stream);

}  // namespace ld::softmax_loss
