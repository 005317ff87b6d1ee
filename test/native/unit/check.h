// What the native tests share: a check that throws, and the list of tests that main.cpp runs. They need no
// Node, so that sanitizers see every thread there is.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ld::test {

struct Test {
  std::string name;
  std::function<void()> run;
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(std::string name, std::function<void()> run) { tests().push_back({std::move(name), std::move(run)}); }
};

inline void check(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

}  // namespace ld::test
