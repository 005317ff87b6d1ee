#include "kernels/spatial_softmax_loss/cuda.h"

#include "kernels/launch.cuh"

namespace ld::softmax_loss {

template <typename Arguments>
void startOnDevice(const Arguments& arguments, cudaStream_t stream) {
  start(arguments, OnStream{stream});
}

template void startOnDevice(const Forward<float>&, cudaStream_t);
template void startOnDevice(const Forward<BFloat16>&, cudaStream_t);
template void startOnDevice(const Backward<float>&, cudaStream_t);
template void startOnDevice(const Backward<BFloat16>&, cudaStream_t);

}  // namespace ld::softmax_loss
