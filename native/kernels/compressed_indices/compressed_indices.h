// The check of compressed sparse indices (CSR, CSC, BSR, BSC): libtorch 2.13 follows the bounds of each row into the
// other indices before it has looked whether they lie within them.
#pragma once

namespace ld {

// Has it look first, for whoever makes or checks a compressed tensor. Once a process.
void registerCompressedIndices();

}  // namespace ld
