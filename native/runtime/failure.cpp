#include "runtime/failure.h"

#include <c10/util/Exception.h>

#include <new>

#include "runtime/callback.h"

namespace ld {

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
    failure->kind = Failure::Kind::Device;
    failure->message = e.what_without_backtrace();
  } catch (const c10::Error& e) {
    failure->message = e.what_without_backtrace();
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
