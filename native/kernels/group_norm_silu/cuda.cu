#include "kernels/group_norm_silu/cuda.h"

#include "kernels/launch.cuh"

namespace ld::group_norm_silu {

template <typename Arguments>
void startOnDevice(const Arguments& arguments, cudaStream_t stream) {
  start(arguments, OnStream{stream});
}

#define LD_INSTANTIATE(T)                                                  \
  template void startOnDevice(const Forward<T, true>&, cudaStream_t);      \
  template void startOnDevice(const Forward<T, false>&, cudaStream_t);     \
  template void startOnDevice(const Backward<T, true>&, cudaStream_t);     \
  template void startOnDevice(const Backward<T, false>&, cudaStream_t);    \
  template void startOnDevice(const Residual<T>&, cudaStream_t)
LD_INSTANTIATE(float);
LD_INSTANTIATE(BFloat16);
#undef LD_INSTANTIATE

}  // namespace ld::group_norm_silu
