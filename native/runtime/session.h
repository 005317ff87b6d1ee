// Everything native that belongs to one Node environment (the main thread or a worker): its queue
// of records, its tensors, and the results on their way back to JavaScript.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/callback.h"
#include "runtime/gate.h"
#include "runtime/ring.h"
#include "runtime/tensor_table.h"

namespace ld {

namespace program {
class Recorder;
}

class Reducer;
class Session;

// Work for the executor that is no plain op: reads, backward passes, adoption of results.
using Task = std::function<void(Session&)>;

// Runs on the JavaScript thread of the session; built on the executor.
struct Completion {
  virtual ~Completion() = default;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Ring ring;
  TensorTable table;  // executor thread only

  // The current ring: `ring`, or during a callback one of its own (callback.h).
  Ring* written = &ring;  // JavaScript thread only
  Ring* read = &ring;     // executor thread only

  // The executor hands results over here; `notify` wakes the JavaScript thread, once for many.
  void complete(std::unique_ptr<Completion> completion) {
    bool wake = false;
    {
      std::lock_guard lock(mutex_);
      wake = completions_.empty();
      completions_.push_back(std::move(completion));
    }
    if (wake) wakeUp();
  }

  std::vector<std::unique_ptr<Completion>> takeCompletions() {
    std::lock_guard lock(mutex_);
    return std::exchange(completions_, {});
  }

  // The function cannot be called any more. Any thread: whoever drops the last tensor of a graph.
  void release(uint32_t function) {
    bool wake = false;
    {
      std::lock_guard lock(mutex_);
      wake = released_.empty();
      released_.push_back(function);
    }
    if (wake) wakeUp();
  }

  std::vector<uint32_t> takeReleased() {
    std::lock_guard lock(mutex_);
    return std::exchange(released_, {});
  }

  // Executor: asks for a callback. The JavaScript thread is in its event loop, or blocked in a native
  // call that waits for the executor: both must hear of it, else the two wait for each other.
  void post(std::shared_ptr<CallbackRequest> request) {
    {
      std::lock_guard lock(mutex_);
      request_ = std::move(request);
      heard_.notify_all();
    }
    wakeUp();
  }

  std::shared_ptr<CallbackRequest> takeRequest() {
    std::lock_guard lock(mutex_);
    return std::exchange(request_, nullptr);
  }

  // JavaScript thread: waits for a moment. True when `settled` was set by settle(); else `request` is the callback that
  // is asked for, if any.
  bool waitFor(const bool& settled, std::shared_ptr<CallbackRequest>& request) {
    std::unique_lock lock(mutex_);
    heard_.wait_for(lock, std::chrono::milliseconds(50), [&] { return settled || request_; });
    request = std::exchange(request_, nullptr);
    return settled && !request;
  }

  void settle(bool& settled) {
    std::lock_guard lock(mutex_);
    settled = true;
    heard_.notify_all();
  }

  // The environment is gone: nobody is woken any more. After it returns nothing calls `notify`.
  void mute() {
    std::lock_guard lock(waking_);
    muted_ = true;
  }

  // By the number that JavaScript has for them.
  std::unordered_map<uint32_t, std::shared_ptr<Reducer>> reducers;  // executor thread only

  // Rings for callbacks inside callbacks, by depth; and how many of them are in use.
  std::vector<std::unique_ptr<Ring>> inner;  // executor thread only
  uint32_t depth = 0;                        // executor thread only
  uint32_t pass = 0;                         // number of the outermost backward pass; executor thread only

  // Writes down the operators of a program's function while it runs.
  std::shared_ptr<program::Recorder> recorder;  // executor thread only
  // What the record at the front of the queue waits for.
  std::shared_ptr<Gates> heldBy;  // executor thread only

  // A failure that nobody has been told of yet: synchronize() reports it.
  FailurePtr unreported;  // executor thread only
  // What was cancelled needs no report: whoever did it knows.
  void leaveReport(const FailurePtr& failure) {
    if (failure->kind != Failure::Kind::Cancelled) unreported = failure;
  }

  std::function<void()> notify;        // set before the session is opened, never changed
  std::function<void()> serve;         // the same; runs a callback that is asked for, on the JavaScript thread
  std::atomic<bool> closing{false};    // the environment is going: run nothing more for it
  std::atomic<bool> closed{false};     // its thread writes no more: let go of it
  std::atomic<uint64_t> submitted{0};  // records in, records done: the depth of the queue
  std::atomic<uint64_t> executed{0};

 private:
  // Under a lock, so that none is under way when mute() returns: the handle that it uses goes then. Not under the other,
  // which the thread that is woken wants at once: it would sleep again.
  void wakeUp() {
    std::lock_guard lock(waking_);
    if (notify && !muted_) notify();
  }

  std::mutex waking_;
  std::mutex mutex_;
  std::condition_variable heard_;
  std::vector<std::unique_ptr<Completion>> completions_;
  std::vector<uint32_t> released_;
  std::shared_ptr<CallbackRequest> request_;
  bool muted_ = false;
};

}  // namespace ld
