// The two ways in which processes exchange tensors. Each is made in a file of its own, the only one that includes
// its header.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <string>

namespace ld {

struct BackendPlace {
  c10::intrusive_ptr<c10d::Store> store;  // under a prefix of its own
  int rank = 0;
  int size = 1;
  std::chrono::milliseconds timeout{0};
  bool local = false;  // all ranks are on this machine: listen on the loopback device only
};

// Tensors of the CPU. Blocks until all ranks are connected.
c10::intrusive_ptr<c10d::Backend> makeGloo(const BackendPlace& place);

// Tensors on GPUs; null in a build without CUDA. Connects at the first collective.
c10::intrusive_ptr<c10d::Backend> makeNccl(const BackendPlace& place);

}  // namespace ld
