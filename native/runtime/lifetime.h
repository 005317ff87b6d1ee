// What happens once in a process: libtorch's settings at load, and the order of things at exit.
#pragma once

namespace ld {

// Idempotent, and safe from several threads: every environment that loads the addon calls it.
void startProcess();

}  // namespace ld
