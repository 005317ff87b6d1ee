// Everything native that belongs to one Node environment (the main thread or a worker): its queue
// of records, its tensors, and the results on their way back to JavaScript.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "runtime/ring.h"
#include "runtime/tensor_table.h"

namespace ld {

class Session;

// Work for the executor that is no plain op: reads, backward passes, adoption of results.
using Task = std::function<void(Session&)>;

// Runs on the JavaScript thread of the session; built on the executor.
struct Completion {
  virtual ~Completion() = default;
};

class Session {
 public:
  Ring ring;
  TensorTable table;  // executor thread only

  // The executor hands results over here; `notify` wakes the JavaScript thread, once for many.
  void complete(std::unique_ptr<Completion> completion) {
    bool wake = false;
    {
      std::lock_guard lock(mutex_);
      wake = completions_.empty();
      completions_.push_back(std::move(completion));
    }
    if (wake && notify) notify();
  }

  std::vector<std::unique_ptr<Completion>> takeCompletions() {
    std::lock_guard lock(mutex_);
    return std::exchange(completions_, {});
  }

  // A failure that nobody has been told of yet: synchronize() reports it.
  FailurePtr unreported;  // executor thread only

  std::function<void()> notify;        // set before the session is opened, never changed
  std::atomic<bool> closing{false};    // the environment is going: run nothing more for it
  std::atomic<uint64_t> submitted{0};  // records in, records done: the depth of the queue
  std::atomic<uint64_t> executed{0};

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Completion>> completions_;
};

}  // namespace ld
