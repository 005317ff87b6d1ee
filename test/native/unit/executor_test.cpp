#include "runtime/executor.h"

#include <ATen/ops/full.h>

#include <condition_variable>
#include <thread>

#include "check.h"
#include "dispatch/run.h"
#include "dispatch/schema.h"

namespace ld::test {

namespace {

std::shared_ptr<Session> openSession() {
  auto session = std::make_shared<Session>();
  session->notify = [] {};
  Executor::instance().open(session);
  return session;
}

// Waits until all that was submitted before has run.
void finish(Session& session) {
  std::mutex mutex;
  std::condition_variable done;
  bool ready = false;
  Executor::instance().submit(session, [&](Session&) {
    const std::lock_guard lock(mutex);
    ready = true;
    done.notify_one();
  });
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return ready; });
}

// aten::add.Tensor with alpha 1.
Site addition() {
  Site site(*findOperator("aten::add.Tensor"));
  site.arguments.resize(3);
  site.arguments[0].slot = site.arguments[1].slot = Site::Slot::Tensor;
  site.arguments[2].constant = at::Scalar(1);
  site.written = {false};
  return site;
}

void add(Session& session, const Site& site, uint32_t a, uint32_t b, uint32_t sum) {
  constexpr uint32_t kLength = record::kOpHeader + 3;
  uint32_t* words = Executor::instance().reserve(session, kLength);
  words[0] = record::Op;
  words[1] = kLength;
  record::putPointer(words + 2, &site);
  words[4] = 0;
  words[5] = 0;
  words[6] = 2;
  words[7] = 0;
  words[8] = 1;
  words[9] = a;
  words[10] = b;
  words[11] = sum;
  Executor::instance().publish(session, kLength);
}

double read(Session& session, uint32_t id) {
  double value = 0;
  Executor::instance().submit(session, [&value, id](Session& own) { value = own.table.at(id).tensor.item<double>(); });
  finish(session);
  return value;
}

const Register sums("ops of several threads run in the order of each", [] {
  constexpr int kThreads = 4, kOps = 3000;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&wrong, thread] {
      const auto session = openSession();
      const Site site = addition();
      Executor::instance().submit(*session, [thread](Session& own) {
        own.table.put(1, at::full({2, 2}, thread).sum());
        own.table.put(2, at::full({}, 1.0));
      });
      for (int i = 0; i < kOps; ++i) add(*session, site, 1, 2, 1);
      if (read(*session, 1) != 4 * thread + kOps) ++wrong;
      Executor::instance().close(*session);
    });
  }
  for (auto& thread : threads) thread.join();
  check(wrong == 0, std::to_string(wrong) + " sums are wrong");
});

const Register poison("a failing op poisons its results, and what is made of them", [] {
  const auto session = openSession();
  const Site site = addition();
  Executor::instance().submit(*session, [](Session& own) {
    own.table.put(1, at::full({2}, 1.0));
    own.table.put(2, at::full({3}, 1.0));
  });
  add(*session, site, 1, 2, 3);
  add(*session, site, 3, 1, 4);
  FailurePtr first, second;
  Executor::instance().submit(*session, [&](Session& own) {
    first = own.table.at(3).failure;
    second = own.table.at(4).failure;
  });
  finish(*session);
  check(first != nullptr && first->op == "aten::add.Tensor", "the op did not fail");
  check(first == second, "the failure was not handed on");
  Executor::instance().close(*session);
});

const Register closing("a session closes at any moment with ops queued, and its tensors are freed", [] {
  for (int round = 0; round < 60; ++round) {
    const auto session = openSession();
    auto site = std::make_unique<Site>(addition());
    auto held = std::make_shared<int>(0);
    std::atomic<int> settled{0};
    Executor::instance().submit(*session, [](Session& own) {
      own.table.put(1, at::full({64, 64}, 1.0));
      own.table.put(2, at::full({64, 64}, 1.0));
    });
    for (int i = 0; i < round * 5; ++i) {
      add(*session, *site, 1, 2, 3 + i % 7);
      if (i % 10 == 0) Executor::instance().submit(*session, [&settled, held](Session&) { ++settled; });
    }
    Executor::instance().close(*session);
    // Nothing of the session runs any more, so its site may go.
    site.reset();
    check(held.use_count() == 1, "a task outlived its session");
    check(settled == (round * 5 + 9) / 10, "a task did not run");
  }
});

const Register completions("completions arrive once each, in order, and wake once for many", [] {
  struct Numbered : Completion {
    int number = 0;
  };
  constexpr int kAll = 5000;
  auto session = std::make_shared<Session>();
  std::atomic<int> wakes{0};
  session->notify = [&wakes] { ++wakes; };
  Executor::instance().open(session);
  std::thread producer([&] {
    for (int i = 0; i < kAll; ++i) {
      Executor::instance().submit(*session, [i](Session& own) {
        auto completion = std::make_unique<Numbered>();
        completion->number = i;
        own.complete(std::move(completion));
      });
    }
  });
  int next = 0;
  while (next < kAll) {
    for (const auto& completion : session->takeCompletions()) {
      check(static_cast<const Numbered&>(*completion).number == next++, "out of order");
    }
    std::this_thread::yield();
  }
  producer.join();
  check(wakes >= 1 && wakes <= kAll, "woken " + std::to_string(wakes) + " times");
  Executor::instance().close(*session);
});

const Register gates("a queue waits at its gates, others go on, and closing waits for none", [] {
  auto& executor = Executor::instance();
  const auto held = openSession(), other = openSession();
  for (int round = 0; round < 200; ++round) {
    const auto all = std::make_shared<Gates>(Gates{std::make_shared<Gate>(), std::make_shared<Gate>()});
    std::atomic<bool> passed{false};
    executor.hold(*held, all);
    executor.submit(*held, [&passed](Session&) { passed = true; });
    finish(*other);
    check(!passed, "the queue went past closed gates");
    std::thread opener([&executor, all] {
      for (const auto& gate : *all) executor.open(*gate);
    });
    finish(*held);
    check(passed, "the queue stayed before open gates");
    opener.join();
  }
  const auto never = std::make_shared<Gates>(1, std::make_shared<Gate>());
  executor.hold(*held, never);
  executor.close(*held);
  check(never.use_count() == 1, "a closed session kept its gates");
  executor.close(*other);
});

}  // namespace

}  // namespace ld::test
