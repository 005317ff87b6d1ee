// Stands in for Gloo's headers, which libtorch's wheels leave out although they hold the library: the names that
// torch/csrc/distributed/c10d/ProcessGroupGloo.hpp needs to be parsed. That header keeps Gloo's objects behind
// pointers only, so the layout of c10d's classes, which gloo.cpp makes, does not depend on what stands here.
// Nothing of these classes is ever made or called from this side.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
