#include "kernels/augment/cuda.h"

#include "kernels/launch.cuh"

namespace ld::augmentation {

void startOnDevice(const Augment& augment, cudaStream_t stream) { OnStream{stream}(augment, augment.grid()); }

}  // namespace ld::augmentation
