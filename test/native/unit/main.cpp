// Runs the native tests, then ends with work queued, as process.exit() does; the exit status is the number of tests
// that failed.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "check.h"
#include "runtime/executor.h"
#include "runtime/lifetime.h"

namespace {

using namespace std::chrono_literals;

std::atomic<int> done{0};

// Stands for the destructor of a static that libtorch made while it ran: it would take the ground from under an op.
void lateDestructor() {
  const int before = done;
  std::this_thread::sleep_for(50ms);
  if (done == before) return;
  std::puts("FAILED  what is destroyed at the end of the process meets no op at work");
  std::fflush(nullptr);
  _exit(1);
}

}  // namespace

int main() {
  ld::startProcess();
  int failed = 0;
  for (const auto& test : ld::test::tests()) {
    try {
      test.run();
      std::printf("ok      %s\n", test.name.c_str());
    } catch (const std::exception& error) {
      ++failed;
      std::printf("FAILED  %s: %s\n", test.name.c_str(), error.what());
    }
  }
  auto& executor = ld::Executor::instance();
  const auto session = std::make_shared<ld::Session>();
  executor.open(session);
  for (int i = 0; i < 1000; ++i) {
    executor.submit(*session, [](ld::Session&) {
      std::this_thread::sleep_for(5ms);
      ++done;
    });
  }
  std::atexit(lateDestructor);
  std::exit(failed);
}
