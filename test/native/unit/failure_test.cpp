// What an exception of libtorch is taken for: of a device there is none here, so they are thrown as its sources do.
#include <c10/util/Exception.h>

#include "check.h"
#include "runtime/failure.h"

namespace ld {

namespace {

using test::check;
using Kind = Failure::Kind;

template <typename Throw>
FailurePtr failureOf(Throw raise) {
  try {
    raise();
  } catch (...) {
    return currentFailure("aten::conv2d", "", 0);
  }
  return nullptr;
}

constexpr int32_t kMemoryAllocation = 2, kIllegalAddress = 700;

const test::Register kinds("a failure of a device, of its memory and of an operator are told apart", [] {
  const auto accelerator = [](int32_t code, const char* message) {
    return failureOf([&] { throw c10::AcceleratorError({__func__, __FILE__, 0}, code, message); });
  };
  const auto error = [](const char* message) { return failureOf([&] { TORCH_CHECK(false, message); }); };
  const auto lost = accelerator(kIllegalAddress, "CUDA error: an illegal memory access was encountered");
  check(lost->kind == Kind::Device, "an illegal access is not of the device");
  check(lost->message.find("illegal memory access") != std::string::npos, "the driver's reason is lost");
  check(accelerator(kMemoryAllocation, "CUDA error: out of memory")->kind == Kind::OutOfMemory, "memory that a graph wants");
  check(error("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")->kind == Kind::OutOfMemory, "memory that cuBLAS wants");
  check(error("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")->kind == Kind::Device, "a kernel of cuDNN that failed");
  check(error("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED")->kind == Kind::Op, "what cuDNN cannot do is not of the device");
  check(failureOf([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory."); })->kind == Kind::OutOfMemory, "out of memory");
});

}  // namespace

}  // namespace ld
