// What memory the machine, the container that the process is in, or a limit on the process has and has left. The kernel promises more
// than there is and kills later; a tensor that cannot fit must fail where it is asked for.
#pragma once

#include <cstdint>

namespace ld {

struct PhysicalMemory {
  uint64_t total;
  uint64_t available;  // without swapping; what the page cache holds can be had
};

// Reads files of /proc and /sys: some 50 us.
PhysicalMemory physicalMemory();

}  // namespace ld
