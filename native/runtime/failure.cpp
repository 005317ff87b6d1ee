#include "runtime/failure.h"

#include <c10/util/Exception.h>

#include <new>

#include "runtime/callback.h"

namespace ld {

namespace {

// cudaErrorMemoryAllocation: memory that did not come from libtorch's allocator, of a graph or of pinned pages.
constexpr int32_t kNoDeviceMemory = 2;

// cuBLAS and cuDNN: libtorch passes on what they say as an error like any other.
Failure::Kind kindOf(const std::string& message) {
  const auto says = [&](const char* status) { return message.find(status) != std::string::npos; };
  if (says("_STATUS_ALLOC_FAILED")) return Failure::Kind::OutOfMemory;
  return says("_STATUS_EXECUTION_FAILED") ? Failure::Kind::Device : Failure::Kind::Op;
}

}  // namespace

FailurePtr currentFailure(std::string op, std::string inputs, uint32_t trace) {
  auto failure = std::make_shared<Failure>();
  failure->op = std::move(op);
  failure->inputs = std::move(inputs);
  failure->trace = trace;
  try {
    throw;
  } catch (const FailureError& e) {
    return e.failure;
  } catch (const c10::OutOfMemoryError& e) {
    failure->kind = Failure::Kind::OutOfMemory;
    failure->message = e.what_without_backtrace();
  } catch (const c10::AcceleratorError& e) {
    failure->kind = e.get_error_code() == kNoDeviceMemory ? Failure::Kind::OutOfMemory : Failure::Kind::Device;
    failure->message = e.what_without_backtrace();
  } catch (const c10::Error& e) {
    failure->message = e.what_without_backtrace();
    failure->kind = kindOf(failure->message);
  } catch (const std::bad_alloc&) {
    failure->kind = Failure::Kind::OutOfMemory;
    failure->message = "the allocator found no memory";
  } catch (const CallbackError& e) {
    failure->kind = e.failure->kind;
    failure->cause = e.failure->cause;
    failure->message = e.what();
  } catch (const std::exception& e) {
    failure->message = e.what();
  } catch (...) {
    failure->message = "unknown C++ exception";
  }
  return failure;
}

}  // namespace ld
