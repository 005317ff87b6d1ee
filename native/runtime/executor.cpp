#include "runtime/executor.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <c10/core/AutogradState.h>

#include <algorithm>
#include <cstdlib>

#include "dispatch/run.h"
#include "program/recorder.h"
#include "runtime/cpu_allocator.h"
#include "runtime/devices.h"

namespace ld {

namespace {

using namespace std::chrono_literals;

constexpr int kNice = 10;
constexpr auto kIdle = 2s;

// The scheduler then prefers the event loop whenever both want a core. The OpenMP workers are
// started by this thread and inherit it, so it must be set before the first parallel region.
void yieldToEventLoop() {
  const char* wanted = std::getenv("LANDMARK_DIFFUSION_NICE");
  const int nice = wanted == nullptr ? kNice : std::atoi(wanted);
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice);
}

}  // namespace

Executor& Executor::instance() {
  static Executor* const executor = new Executor();
  return *executor;
}

Executor::Executor() {
  std::thread([this] { run(); }).detach();
}

void Executor::open(std::shared_ptr<Session> session) {
  std::lock_guard lock(mutex_);
  sessions_.push_back(std::move(session));
  ++generation_;
}

void Executor::abandon(Session& session) {
  session.closing.store(true);
  wake();
}

void Executor::close(Session& session) {
  session.closing.store(true);
  session.closed.store(true);
  wake();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return parked_ || std::none_of(sessions_.begin(), sessions_.end(),
                                   [&](const auto& open) { return open.get() == &session; });
  });
}

uint32_t* Executor::reserve(Session& session, uint32_t words) {
  for (;;) {
    if (uint32_t* place = session.written->reserve(words)) return place;
    wake();
    // There is no room before the record at hand is done, and it may be waiting for this thread.
    if (session.serve) session.serve();
    std::this_thread::sleep_for(100us);
  }
}

void Executor::publish(Session& session, uint32_t words) {
  session.submitted.fetch_add(1, std::memory_order_relaxed);
  session.written->publish(words);
  // Pairs with the fence in run(): either we see it asleep, or it sees the record.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_relaxed)) wake();
}

void Executor::submit(Session& session, Task task) {
  uint32_t* words = reserve(session, 4);
  words[0] = record::Task;
  words[1] = 4;
  record::putPointer(words + 2, new Task(std::move(task)));
  publish(session, 4);
}

void Executor::receive(Session& session, std::shared_ptr<SharedTensors::Parcel> parcel, uint32_t id) {
  uint32_t* words = reserve(session, 5);
  words[0] = record::Receive;
  words[1] = 5;
  record::putPointer(words + 2, new std::shared_ptr<SharedTensors::Parcel>(std::move(parcel)));
  words[4] = id;
  publish(session, 5);
}

void Executor::hold(Session& session, std::shared_ptr<Gates> gates) {
  uint32_t* words = reserve(session, 4);
  words[0] = record::Hold;
  words[1] = 4;
  record::putPointer(words + 2, new std::shared_ptr<Gates>(std::move(gates)));
  publish(session, 4);
}

void Executor::open(Gate& gate) {
  gate.open_.store(true, std::memory_order_release);
  wake();
}

void Executor::wake() {
  std::lock_guard lock(mutex_);
  wakeUp_.notify_one();
}

bool Executor::park(std::chrono::milliseconds limit) {
  parking_.store(true);
  wake();
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return parked_; });
}

void Executor::run() {
  yieldToEventLoop();
  thread_ = std::this_thread::get_id();
  // Else nodes of a GPU's graph would run on threads of the engine's own, which no callback can wait on.
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  plain_ = std::make_unique<at::ThreadLocalState>();
  bool trimmed = true;
  for (;;) {
    if (parking_.load()) {
      std::unique_lock lock(mutex_);
      parked_ = true;
      changed_.notify_all();
      wakeUp_.wait(lock, [] { return false; });
    }
    if (serve()) {
      trimmed = false;
      continue;
    }
    std::unique_lock lock(mutex_);
    sleeping_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const auto wanted = [this] { return mustRun(); };
    if (trimmed) {
      wakeUp_.wait(lock, wanted);
    } else if (!wakeUp_.wait_for(lock, kIdle, wanted)) {
      lock.unlock();
      trimCpuCache();
      trimmed = true;
    }
    sleeping_.store(false, std::memory_order_relaxed);
  }
}

bool Executor::mustRun() const {
  return parking_.load() || servedGeneration_ != generation_ ||
         std::any_of(served_.begin(), served_.end(), [](const auto& session) {
           if (session->closed.load() && session->depth == 0) return true;
           // A held queue would be looked at for nothing, until its gates are open.
           const bool held = session->heldBy && !session->closing.load() && !allOpen(*session->heldBy);
           return !session->read->empty() && !held;
         });
}

// One helping for every session; false where none had work.
bool Executor::serve() {
  {
    std::lock_guard lock(mutex_);
    if (servedGeneration_ != generation_) {
      served_ = sessions_;
      servedGeneration_ = generation_;
    }
  }
  bool worked = false;
  for (size_t i = 0; i < served_.size(); ++i) {
    // A copy, and by index: a record that waits for a callback comes here again and may change the list.
    const auto session = served_[i];
    if (!session->closed.load()) {
      worked |= drain(*session);
    } else if (session->depth == 0) {
      // Not while one of its records is in the middle of a callback further down this thread's stack:
      // that one gives up first, and still needs its table.
      finish(session);
      worked = true;
    }
  }
  return worked;
}

void Executor::finish(const std::shared_ptr<Session>& session) {
  while (drain(*session)) {
  }
  session->reducers.clear();
  session->table.clear();
  session->recorder.reset();
  session->unreported.reset();
  std::lock_guard lock(mutex_);
  std::erase(sessions_, session);
  ++generation_;
  changed_.notify_all();
}

void Executor::await(Session& session, const std::shared_ptr<CallbackRequest>& request) {
  if (session.inner.size() == session.depth) session.inner.push_back(std::make_unique<Ring>());
  Ring* const outer = session.read;
  request->ring = session.read = session.inner[session.depth++].get();
  session.post(request);
  // Other sessions go on meanwhile: their threads share nothing with the one that is asked, and one of
  // them may be what that thread itself waits for.
  const auto over = [&] { return request->done || session.closing.load() || parking_.load(); };
  while (!over()) {
    if (serve()) continue;
    std::unique_lock lock(mutex_);
    sleeping_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (mustRun()) {
      // A record that waits for one behind the pass, in the session that is asked: nothing but the
      // callback helps, and looking again at once would take its core.
      wakeUp_.wait_for(lock, 100us, over);
    } else {
      wakeUp_.wait(lock, [&] { return over() || mustRun(); });
    }
    sleeping_.store(false, std::memory_order_relaxed);
  }
  if (!request->done) {
    // Its thread is in close() or on its way there: what it left settles or frees what it owns.
    while (drain(session)) {
    }
    auto failure = std::make_shared<Failure>();
    failure->op = "callback";
    failure->message = "the environment ended during a callback";
    request->failure = std::move(failure);
  }
  session.read = outer;
  --session.depth;
}

// A bounded helping, so that one busy session does not starve the others. Inside a callback's wait the
// helpings go on in the callback's own ring, so the ring is looked up anew for each record.
bool Executor::drain(Session& session) {
  constexpr int kHelping = 256;
  int done = 0;
  while (done < kHelping && !parking_.load(std::memory_order_relaxed)) {
    Ring& ring = *session.read;
    const uint32_t* words = ring.front();
    if (words == nullptr) break;
    const uint32_t length = words[1];
    if (!execute(session, words)) break;
    ring.pop(length);
    session.executed.fetch_add(1, std::memory_order_relaxed);
    ++done;
  }
  return done > 0;
}

bool Executor::execute(Session& session, const uint32_t* words) {
  const bool closing = session.closing.load(std::memory_order_relaxed);
  enterNamedDevices();
  const program::RecordingGuard recording(session.recorder.get());
  switch (words[0]) {
    case record::Op:
      if (!closing) runOp(session, words);
      break;
    case record::Task: {
      const std::unique_ptr<Task> task(record::getPointer<Task>(words + 2));
      // A closing session's tasks still run: they settle or free what they own, and a JavaScript
      // thread may be waiting for one.
      try {
        (*task)(session);
      } catch (...) {
        session.unreported = currentFailure("task", "", 0);
      }
      break;
    }
    case record::Free:
      for (uint32_t i = 2; i < words[1]; ++i) session.table.drop(words[i]);
      break;
    case record::Receive: {
      auto* parcel = record::getPointer<std::shared_ptr<SharedTensors::Parcel>>(words + 2);
      // What it waits for was queued before this record, in another session; so sessions never wait
      // for each other in a circle, and there is always one that can go on.
      if (!(*parcel)->ready && !closing) return false;
      const std::unique_ptr<std::shared_ptr<SharedTensors::Parcel>> owned(parcel);
      if ((*parcel)->failure) {
        session.table.poison(words[4], (*parcel)->failure);
      } else {
        session.table.put(words[4], std::move((*parcel)->tensor));
      }
      break;
    }
    case record::Hold: {
      auto* gates = record::getPointer<std::shared_ptr<Gates>>(words + 2);
      if (!allOpen(**gates) && !closing) {
        session.heldBy = *gates;
        return false;
      }
      session.heldBy.reset();
      delete gates;
      break;
    }
    default:
      break;
  }
  return true;
}

}  // namespace ld
