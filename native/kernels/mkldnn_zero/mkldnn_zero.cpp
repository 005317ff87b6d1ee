#include "kernels/mkldnn_zero/mkldnn_zero.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include "kernels/silent.h"

namespace ld {

namespace {

c10::SafeKernelFunction* libtorchs = nullptr;

void checkedZero(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto dtype = stack->back().toTensor().scalar_type();
  TORCH_CHECK(dtype == at::kFloat, "zeros of a oneDNN tensor of ", dtype, ": libtorch would write past its end; make it from a dense tensor");
  libtorchs->callBoxed(op, keys, stack);
}

}  // namespace

void registerMkldnnZero() {
  const auto zero = c10::Dispatcher::singleton().findSchemaOrThrow("aten::zero_", "");
  libtorchs = new c10::SafeKernelFunction(zero.getComputedKernelForDispatchKey(c10::DispatchKey::MkldnnCPU));
  const SilentRegistration silent;
  auto* library = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::MkldnnCPU, __FILE__, __LINE__);
  library->impl("zero_", torch::CppFunction::makeFromBoxedFunction<&checkedZero>());
}

}  // namespace ld
