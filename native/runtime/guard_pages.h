// A debugging allocator for CPU tensors, in the manner of Electric Fence: each block ends at a page that nobody may
// touch, and a freed block stays untouchable for a while. A kernel that reads or writes past its tensors, or after
// their end, then dies at the faulting instruction instead of damaging a neighbour. Slow: for the fuzzer.
#pragma once

#include <c10/core/Allocator.h>

namespace ld {

// LANDMARK_DIFFUSION_GUARD_PAGES=1 asks for it.
bool wantsGuardPages();

// Leaked: tensors may outlive every static.
c10::Allocator& guardPageAllocator();

}  // namespace ld
