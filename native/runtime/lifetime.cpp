#include "runtime/lifetime.h"

#include <ATen/Context.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "distributed/group.h"
#include "runtime/cpu_allocator.h"
#include "kernels/register.h"
#include "runtime/executor.h"

namespace ld {

namespace {

using namespace std::chrono_literals;

// On the main thread process.exit() and an uncaught error run no cleanup hook, so the executor may
// be inside an op while libtorch's static destructors run, which crashes. Handlers run in reverse
// order of registration, and libtorch was loaded before this one was registered.
void atExit(int status, void*) {
  // Threads of a group that was not left go on, and would meet what the destructors leave.
  if (!Executor::instance().park(5s) || Group::isActive()) {
    std::fflush(nullptr);
    _exit(status);
  }
}

}  // namespace

void startProcess() {
  static std::once_flag once;
  std::call_once(once, [] {
    installCpuAllocator();
    // Also where the operator's name says "unsafe": kernels go where a sparse tensor's indices point.
    at::globalContext().setCheckSparseTensorInvariants(true);
    registerKernels();
    on_exit(&atExit, nullptr);
  });
}

}  // namespace ld
