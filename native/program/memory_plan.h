// When a program's tensors are let go: each at its last use. The memory itself is given out by the device's
// caching allocator, so a block that one instruction lets go is the next one's.
#pragma once

#include <vector>

#include "program/ir.h"

namespace ld::program {

struct MemoryPlan {
  // Per value: the last instruction that uses or makes it; kNever for those that outlive the program.
  std::vector<uint32_t> lastUse;
  // Most bytes that storages made by the program hold at one time, without what kernels use inside.
  size_t peakBytes = 0;
  // Bytes of all storages that the program makes: what it would hold without letting go.
  size_t madeBytes = 0;
  // Of tensors captured from outside.
  size_t capturedBytes = 0;
};

constexpr uint32_t kNever = ~0u;

MemoryPlan planMemory(const Program& program);

}  // namespace ld::program
