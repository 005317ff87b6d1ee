// The CUDA kernels of our operators, one function for each folder of native/kernels.
#pragma once

#include <torch/library.h>

namespace ld {

// `library` registers for the dispatch key CUDA.
void registerGroupNormSiluCuda(torch::Library& library);
void registerSpatialSoftmaxLossCuda(torch::Library& library);
void registerFusedAdamwEmaCuda(torch::Library& library);
void registerAugmentCuda(torch::Library& library);

}  // namespace ld
