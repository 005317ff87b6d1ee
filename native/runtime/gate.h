// What a queue waits for and another thread brings about, such as the answer of another process. The executor
// does not wait with it: other sessions' queues go on.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

namespace ld {

class Gate {
 public:
  virtual ~Gate() = default;
  bool isOpen() const { return open_.load(std::memory_order_acquire); }

 private:
  friend class Executor;
  std::atomic<bool> open_{false};
};

// Filled by a task that runs before the record that waits for them.
using Gates = std::vector<std::shared_ptr<Gate>>;

inline bool allOpen(const Gates& gates) {
  return std::all_of(gates.begin(), gates.end(), [](const auto& gate) { return gate->isOpen(); });
}

}  // namespace ld
