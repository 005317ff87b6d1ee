// libtorch's CPU memory, cached. A training step frees and asks again for the same sizes; handing
// them back to the kernel each time costs a page fault per 4 KiB (performance figures: docs).
#pragma once

#include <cstdint>

namespace ld {

struct CpuMemory {
  uint64_t live;    // bytes in tensors
  uint64_t peak;    // most that `live` was since the last reset
  uint64_t cached;  // bytes kept for the next tensor
};

// Makes the caching allocator libtorch's own for CPU tensors. Once, before the first tensor.
void installCpuAllocator();

CpuMemory cpuMemory();

// From now on `peak` counts anew.
void resetCpuPeak();

// The least that `live` was since the last call: what is held for long, without a step's coming and going.
uint64_t cpuMemoryHeld();

// Gives every cached block back to the system.
void trimCpuCache();

// From now on a trim begins with this call, for what others keep to be faster. Once, at the start.
void onCpuTrim(void (*release)());

}  // namespace ld
