// GPUs, through libtorch's device-neutral interfaces: no CUDA header, so every build has this, and one without
// GPUs says why. Work is queued on a stream of the executor's own and never waited for there; another thread
// watches for its end, so that neither the event loop nor the queue stands still while a device computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "runtime/failure.h"

namespace ld {

struct DeviceCount {
  int count = 0;
  std::string problem;  // why there is none
};

// CUDA devices that can be used. Any thread.
DeviceCount cudaDevices();

// A call names the device. Throws c10::Error where it cannot be used. JavaScript threads.
void nameDevice(at::Device device);

// Executor thread, before each record: puts devices that were named since on streams of the executor's own. Not on
// the default stream, which waits for all others and which no CUDA graph can be captured from. Frees what readers of
// queueToHost() have let go of.
void enterNamedDevices();

// Executor thread. Calls `done` when the devices have done all that is queued so far: at once where none was
// named, else later, on the watching thread, with the failure of a device if there is one.
void whenReached(std::function<void(FailurePtr)> done);

// Executor thread: a copy in pinned memory, complete when whenReached() says so.
at::Tensor queueToHost(const at::Tensor& tensor);

// Memory from which a copy to the device can be queued. JavaScript threads.
at::Tensor pinned(at::IntArrayRef shape, at::ScalarType dtype);

}  // namespace ld
