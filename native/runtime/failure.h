// Why an op failed. A failure travels with the results it poisoned until somebody awaits one.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace ld {

struct Failure {
  // Device: a GPU itself failed, and whatever it held is lost. Cancelled: nobody wanted it any more.
  enum class Kind { Op, OutOfMemory, Device, Schema, Distributed, Cancelled };
  Kind kind = Kind::Op;
  std::string op;       // "aten::conv2d"
  std::string inputs;   // "float32[1, 3, 8, 8], float32[4, 2, 3, 3]"
  std::string message;  // libtorch's own
  uint32_t trace = 0;   // key of the JavaScript stack, 0 where tracing was off
  uint32_t cause = 0;   // key of the JavaScript error that a callback threw, 0 where there is none
};

using FailurePtr = std::shared_ptr<const Failure>;

// Takes a failure that is known already through code that throws.
struct FailureError : std::runtime_error {
  explicit FailureError(FailurePtr reason) : std::runtime_error(reason->message), failure(std::move(reason)) {}
  FailurePtr failure;
};

// The failure that the exception in flight stands for. Call inside a catch block only.
FailurePtr currentFailure(std::string op, std::string inputs, uint32_t trace);

}  // namespace ld
