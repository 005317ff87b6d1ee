// Operators of our own, under the namespace landmark_diffusion: registered once a process.
#pragma once

namespace ld {

// Safe to call from several environments, and where another copy of the addon has registered them.
void registerKernels();

}  // namespace ld
