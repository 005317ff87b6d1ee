// Runs the native tests; the exit status is the number of those that failed.
#include <cstdio>
#include <cstdlib>

#include "check.h"
#include "runtime/lifetime.h"

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
  // exit(), so that the end of the process, with the executor still alive, is tested too.
  std::exit(failed);
}
