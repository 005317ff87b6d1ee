// JavaScript functions that libtorch calls in the middle of a backward pass: hooks, custom backward
// functions, recomputation. The pass runs on the executor, the function on the JavaScript thread of its
// session, and the executor waits for it:
//
//   executor                                     JavaScript thread
//   a record runs a pass, the pass meets us
//   opens an empty ring and reads from it,
//   posts a request, wakes the other     ---->   idle (the event loop), or blocked in a native call:
//   runs what arrives in the new ring            both take the request, make the new ring the one
//     (and other sessions' work)         <----   that they write to, and call the function
//   meets the reply, closes the ring             queues the reply, writes to the old ring again
//
// Records that already lie in the old ring must wait: they were written behind the pass, an optimiser's
// step among them. Both sides own their view of "the current ring", so neither needs a lock for it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "runtime/failure.h"
#include "runtime/ring.h"

namespace ld {

class Session;

struct CallbackRequest {
  uint32_t function = 0;
  std::vector<at::Tensor> arguments;
  std::vector<bool> flags;  // meaning belongs to the function
  bool grad = false;        // operations of the function are recorded for further derivatives
  uint32_t pass = 0;        // number of the outermost pass that it belongs to
  Ring* ring = nullptr;     // where the function's operations go

  // Executor only, filled by records of `ring`.
  bool done = false;
  std::vector<at::Tensor> results;
  FailurePtr failure;
};

// The handle of the executor on one function. The graph holds it; with the last one JavaScript lets the
// function go.
class Callback {
 public:
  Callback(const std::shared_ptr<Session>& session, uint32_t function) : session_(session), function_(function) {}
  ~Callback();
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  // Executor thread. Throws CallbackError where the function threw, or the environment ends meanwhile.
  std::vector<at::Tensor> call(std::vector<at::Tensor> arguments, std::vector<bool> flags = {}) const;

 private:
  const std::weak_ptr<Session> session_;
  const uint32_t function_;
};

// Takes a callback's failure through libtorch's engine.
struct CallbackError : std::runtime_error {
  explicit CallbackError(FailurePtr reason) : std::runtime_error(reason->message), failure(std::move(reason)) {}
  FailurePtr failure;
};

}  // namespace ld
