// One collective operation under way: started by the executor, ended by a thread of the backend. Never waited for
// by the executor itself, which a slow or dead process would then stop for every session.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <array>
#include <functional>
#include <string>

#include "dispatch/run.h"
#include "runtime/failure.h"
#include "runtime/gate.h"

namespace ld {

// Its gate opens when the operation has ended; `failure` is set before.
struct Collective : Gate {
  using WorkPtr = c10::intrusive_ptr<c10d::Work>;
  enum class Call : int64_t { AllReduce = 1, Broadcast = 2, Barrier = 3 };

  std::string name;                                // with its tensor, for messages
  std::array<int64_t, 4> signature{};              // what all ranks must have alike
  std::function<WorkPtr(c10d::Backend&)> launch;   // null where there is nothing to exchange
  WorkPtr work;                                    // on a GPU
  FailurePtr failure;

  // `detail`: the reduction, or the source.
  void describe(Call call, const at::Tensor& tensor, int64_t detail) {
    name = call == Call::AllReduce ? "allReduce" : call == Call::Broadcast ? "broadcast" : "barrier";
    signature = {static_cast<int64_t>(call), detail, 0, 0};
    if (!tensor.defined()) return;
    name += " of " + brief(tensor);
    signature[2] = static_cast<int64_t>(tensor.scalar_type());
    for (const int64_t size : tensor.sizes()) signature[3] = (signature[3] * 1'000'003 + size + 1) % (int64_t{1} << 40);
  }

  // Executor thread, behind the gate. On a GPU the operation is only queued when the gate opens: what runs
  // after this on the current stream comes after it.
  void order() {
    if (work && !failure) work->synchronize();
  }
};

}  // namespace ld
