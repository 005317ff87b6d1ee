#include "runtime/lifetime.h"

#include <ATen/Context.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "dispatch/guards/layouts.h"
#include "distributed/group.h"
#include "runtime/cpu_allocator.h"
#include "kernels/register.h"
#include "runtime/executor.h"

namespace ld {

namespace {

using namespace std::chrono_literals;

// On the main thread process.exit() and an uncaught error run no cleanup hook, so the executor may
// be inside an op while libtorch's static destructors run, which crashes.
void atExit(int status, void*) {
  // Threads of a group that was not left go on, and would meet what the destructors leave.
  if (!Executor::instance().park(5s) || Group::isActive()) {
    std::fflush(nullptr);
    _exit(status);
  }
}

// Handlers run in reverse order of registration, and libtorch registers destructors all the time: each operator has
// statics of its own, made at its first call. So ours is registered when exit() has begun: before any handler it
// destroys the thread-local objects of the thread that calls it, which in Node is the main thread.
struct LastHandler {
  ~LastHandler() {
    if (getpid() == static_cast<pid_t>(syscall(SYS_gettid))) on_exit(&atExit, nullptr);
  }
};

}  // namespace

void startProcess() {
  thread_local const LastHandler last;
  static std::once_flag once;
  std::call_once(once, [] {
    installCpuAllocator();
    // Also where the operator's name says "unsafe": kernels go where a sparse tensor's indices point.
    at::globalContext().setCheckSparseTensorInvariants(true);
    registerKernels();
    guards::refuseForeignLayouts();
    // For a process whose main thread never comes here: its workers have ended by then.
    on_exit(&atExit, nullptr);
  });
}

}  // namespace ld
