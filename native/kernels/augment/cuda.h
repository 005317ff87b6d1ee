// The kernel on a GPU; raw pointers only (see group_norm_silu/cuda.h).
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/augment/arithmetic.h"

namespace ld::augmentation {

void startOnDevice(const Augment& augment, cudaStream_t stream);

}  // namespace ld::augmentation
