// The kernel on a GPU; raw pointers only (see group_norm_silu/cuda.h).
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/fused_adamw_ema/arithmetic.h"

namespace ld::adamw {

void startOnDevice(const Update& update, cudaStream_t stream);

}  // namespace ld::adamw
