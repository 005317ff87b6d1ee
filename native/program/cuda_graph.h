// Programs as CUDA graphs.
#pragma once

#include <memory>

#include "program/graph_runner.h"

namespace ld::program {

// A capture on the current stream of a device. Executor thread, on which no default stream may be current.
std::unique_ptr<GraphCapture> makeCudaCapture(c10::DeviceIndex device);

}  // namespace ld::program
