#include "distributed/backends.h"

// Defined by a build against a CUDA libtorch that has NCCL's header.
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace ld {

c10::intrusive_ptr<c10d::Backend> makeNccl([[maybe_unused]] const BackendPlace& place) {
#ifdef USE_C10D_NCCL
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = place.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(place.store, place.rank, place.size, options);
#else
  return {};
#endif
}

}  // namespace ld
