// The thread on which every op runs. There is one in the process, for all environments: each OS
// thread that calls ATen gets an OpenMP team of its own, so a second one would fight for the cores.
// It is never destroyed: a static destructor that ran beside it would free what it uses.
#pragma once

#include <ATen/ThreadLocalState.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/record.h"
#include "runtime/session.h"
#include "runtime/shared_tensors.h"

namespace ld {

class Executor {
 public:
  static Executor& instance();

  void open(std::shared_ptr<Session> session);

  // Called from the environment's cleanup hook. Returns when the executor has let go of the
  // session: nothing of it runs any more, and its tensors are freed.
  void close(Session& session);

  // JavaScript thread, which is being terminated while it waits for its queue: what is in it is dropped.
  void abandon(Session& session);

  // JavaScript thread. Blocks only while the bounded queue is full (a producer that never awaits).
  uint32_t* reserve(Session& session, uint32_t words);
  void publish(Session& session, uint32_t words);
  void submit(Session& session, Task task);
  // Puts the tensor of `parcel` into the session's table when the session that sends it has come so far.
  void receive(Session& session, std::shared_ptr<SharedTensors::Parcel> parcel, uint32_t id);

  // The session's queue goes on from here when all gates are open, or the session closes.
  void hold(Session& session, std::shared_ptr<Gates> gates);
  // Any thread; once.
  void open(Gate& gate);

  // Executor thread, in the middle of a record: posts the request and serves all sessions until it is
  // done. Gives it up, with a failure, where its environment or the process ends meanwhile.
  void await(Session& session, const std::shared_ptr<CallbackRequest>& request);

  // The process ends: whoever runs for long stops.
  bool isParking() const { return parking_.load(std::memory_order_relaxed); }
  bool isThisThread() const { return std::this_thread::get_id() == thread_; }
  // libtorch's thread-local state outside of any record.
  const at::ThreadLocalState& plainState() const { return *plain_; }

  // Last act of the process: finishes the record at hand and stops for ever, so that libtorch's
  // static destructors find nobody at work. False when the record took longer than the limit.
  bool park(std::chrono::milliseconds limit);

 private:
  Executor();
  void run();
  bool serve();
  void finish(const std::shared_ptr<Session>& session);
  bool drain(Session& session);
  bool mustRun() const;
  // False when the record has to wait for another session.
  bool execute(Session& session, const uint32_t* words);
  void wake();

  std::mutex mutex_;
  std::condition_variable wakeUp_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Session>> sessions_;
  uint64_t generation_ = 0;

  // Executor thread only.
  std::thread::id thread_;
  std::unique_ptr<const at::ThreadLocalState> plain_;
  std::vector<std::shared_ptr<Session>> served_;  // copy of sessions_ at generation served_
  uint64_t servedGeneration_ = ~0ull;

  std::atomic<bool> sleeping_{false};
  std::atomic<bool> parking_{false};
  bool parked_ = false;
};

}  // namespace ld
