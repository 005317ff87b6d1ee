#include "kernels/mkldnn_zero/mkldnn_zero.h"

#include <c10/util/Exception.h>

#include "kernels/replaced.h"

namespace ld {

namespace {

c10::SafeKernelFunction* libtorchs = nullptr;

void checkedZero(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto dtype = stack->back().toTensor().scalar_type();
  TORCH_CHECK(dtype == at::kFloat, "zeros of a oneDNN tensor of ", dtype, ": libtorch would write past its end; make it from a dense tensor");
  libtorchs->callBoxed(op, keys, stack);
}

}  // namespace

void registerMkldnnZero() { libtorchs = replaceKernel<&checkedZero>("zero_", c10::DispatchKey::MkldnnCPU); }

}  // namespace ld
