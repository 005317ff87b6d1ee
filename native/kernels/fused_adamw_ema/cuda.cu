#include "kernels/fused_adamw_ema/cuda.h"

#include "kernels/launch.cuh"

namespace ld::adamw {

void startOnDevice(const Update& update, cudaStream_t stream) { OnStream{stream}(update, update.grid()); }

}  // namespace ld::adamw
