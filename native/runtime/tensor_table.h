// Integer ids to tensors. Only the executor thread reads or writes a table; JavaScript hands out
// the ids, and because frees are queued behind the ops that use them, an id may be reused at once.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/failure.h"

namespace ld {

class TensorTable {
 public:
  struct Slot {
    at::Tensor tensor;
    FailurePtr failure;
  };

  // Id 0 stands for "no tensor".
  const Slot& at(uint32_t id) {
    grow(id);
    return slots_[id];
  }

  void put(uint32_t id, at::Tensor tensor) {
    if (id == 0) return;
    grow(id);
    slots_[id].tensor = std::move(tensor);
    slots_[id].failure.reset();
  }

  void poison(uint32_t id, FailurePtr failure) {
    if (id == 0) return;
    grow(id);
    slots_[id].tensor.reset();
    slots_[id].failure = std::move(failure);
  }

  void drop(uint32_t id) {
    if (id < slots_.size()) slots_[id] = Slot{};
    generators_.erase(id);
  }

  void putGenerator(uint32_t id, at::Generator generator) {
    generators_.insert_or_assign(id, std::move(generator));
  }

  const at::Generator* generator(uint32_t id) const {
    const auto found = generators_.find(id);
    return found == generators_.end() ? nullptr : &found->second;
  }

  void clear() {
    slots_.clear();
    generators_.clear();
  }

 private:
  void grow(uint32_t id) {
    if (id >= slots_.size()) slots_.resize(static_cast<size_t>(id) * 2 + 64);
  }

  std::vector<Slot> slots_;
  std::unordered_map<uint32_t, at::Generator> generators_;
};

}  // namespace ld
