#include "distributed/group.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <atomic>

#include "runtime/executor.h"

namespace ld {

namespace {

using namespace std::chrono_literals;

// How long rank 0 keeps the store for ranks that are still about to leave.
constexpr auto kFarewell = 10s;
// The store answers at once, or its process is gone.
constexpr auto kStoreAnswers = 10s;

// Never destroyed: threads of the backends may still run when static destructors do.
struct Registry {
  std::mutex mutex;
  std::shared_ptr<Group> group;
  std::atomic<int> active{0};
};

Registry& registry() {
  static Registry* const registry = new Registry();
  return *registry;
}

bool isLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

c10::intrusive_ptr<c10d::Store> connect(const Group::Settings& settings, bool serve, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = settings.port;
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::TCPStore>(settings.host, options);
}

}  // namespace

void Group::join(const Settings& settings) {
  auto& all = registry();
  {
    std::lock_guard lock(all.mutex);
    TORCH_CHECK(all.active == 0, "this process is in a group already: call destroyProcessGroup() first");
    ++all.active;
  }
  try {
    const std::shared_ptr<Group> group(new Group(settings));
    group->meet();
    std::lock_guard lock(all.mutex);
    all.group = group;
  } catch (...) {
    --all.active;
    throw;
  }
}

std::shared_ptr<Group> Group::current() {
  auto& all = registry();
  std::lock_guard lock(all.mutex);
  TORCH_CHECK(all.group, "this process is in no group: await initProcessGroup() first");
  return all.group;
}

bool Group::isActive() { return registry().active > 0; }

void Group::meet() {
  const auto& [host, port, serve, rank, size, backend, timeout] = settings_;
  store_ = connect(settings_, serve, timeout);
  watch_ = std::make_unique<Watch>(connect(settings_, false, std::min<std::chrono::milliseconds>(timeout, kStoreAnswers)),
                                   host + ":" + std::to_string(port), rank, size);
  // A name for each, so that a missing rank is told by its name.
  for (int i = 0; i < size; ++i) {
    try {
      store_->wait({"alive/" + std::to_string(i)}, timeout);
    } catch (const c10::Error&) {
      TORCH_CHECK(false, "rank ", i, " of ", size, " did not come to ", host, ":", port, " within ",
                  std::chrono::duration_cast<std::chrono::seconds>(timeout).count(), " s");
    }
  }
  const auto place = [&](const char* name) {
    return BackendPlace{c10::make_intrusive<c10d::PrefixStore>(name, store_), rank, size, timeout, isLoopback(host)};
  };
  cpu_ = makeGloo(place("gloo"));
  if (backend != "gloo" && at::globalContext().hasCUDA() && at::getNumGPUs() > 0) gpu_ = makeNccl(place("nccl"));
  TORCH_CHECK(backend != "nccl" || gpu_,
              "nccl needs a GPU and an addon that was built against a CUDA libtorch; use 'gloo'");
  watch_->start([this](const std::string& reason) { lose(reason); });
}

std::shared_ptr<Collective> Group::start(Collective::Call call, at::Tensor tensor, int64_t detail,
                                         std::function<Collective::WorkPtr(c10d::Backend&)> launch) {
  const bool onGpu = tensor.defined() && tensor.is_cuda();
  TORCH_CHECK(!onGpu || gpu_, "the group has no backend for tensors on a GPU");
  auto collective = std::make_shared<Collective>();
  collective->describe(call, tensor, detail);
  collective->launch = std::move(launch);
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    collective->failure = failure_;
    if (!failure_ && !onGpu) {
      first = underWay_.empty();
      underWay_.push_back(collective);
    }
  }
  if (onGpu && !collective->failure) collective->work = collective->launch(*gpu_);
  if (onGpu || collective->failure) {
    Executor::instance().open(*collective);
  } else if (first) {
    agree(collective);
  }
  return collective;
}

void Group::then(const Collective::WorkPtr& work, std::function<void()> next) {
  work->getFuture()->addCallback(
      [self = shared_from_this(), next = std::move(next)](c10::ivalue::Future& future) {
        // A failed operation stays under way until the watch knows why.
        if (future.hasError()) {
          self->watch_->report(future.tryRetrieveErrorMessage());
        } else {
          next();
        }
      },
      false);
}

void Group::agree(const std::shared_ptr<Collective>& collective) {
  const auto& own = collective->signature;
  // The minimum of x and of -x: the ranks agree where the least is the greatest.
  const at::Tensor both = at::empty({2, static_cast<int64_t>(own.size())}, at::kLong);
  auto* values = both.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < own.size(); ++i) {
    values[i] = own[i];
    values[own.size() + i] = -own[i];
  }
  std::vector<at::Tensor> tensors{both};
  c10d::AllreduceOptions options;
  options.reduceOp = c10d::ReduceOp::MIN;
  guarded(collective, [&] {
    then(cpu_->allreduce(tensors, options), [this, both, collective] {
      const auto* least = both.const_data_ptr<int64_t>();
      bool same = true;
      for (size_t i = 0; i < collective->signature.size(); ++i) same &= least[i] == -least[collective->signature.size() + i];
      guarded(collective, [&] {
        TORCH_CHECK(same, "the ranks do not call the same operation: this one called ", collective->name,
                    ". All must call the same ones in the same order, with tensors of one shape and dtype");
        if (!collective->launch) return end(collective);
        then(collective->launch(*cpu_), [this, collective] { end(collective); });
      });
    });
  });
}

template <typename Action>
void Group::guarded(const std::shared_ptr<Collective>& collective, Action action) {
  try {
    action();
  } catch (...) {
    auto failure = currentFailure("distributed", collective->name, 0);
    {
      std::lock_guard lock(mutex_);
      if (underWay_.empty() || underWay_.front() != collective) return;
      collective->failure = std::move(failure);
    }
    end(collective);
  }
}

void Group::end(const std::shared_ptr<Collective>& collective) {
  std::shared_ptr<Collective> next;
  {
    std::lock_guard lock(mutex_);
    // Not where lose() has already ended it.
    if (underWay_.empty() || underWay_.front() != collective) return;
    underWay_.pop_front();
    if (!underWay_.empty()) next = underWay_.front();
  }
  Executor::instance().open(*collective);
  if (next) agree(next);
}

namespace {

// What Gloo leaves unchecked, or refuses so late that the group is lost.
void checkTensor(const at::Tensor& tensor) {
  // It takes the memory from the first element on for the tensor, whatever its strides.
  TORCH_CHECK(tensor.layout() == at::kStrided && tensor.is_non_overlapping_and_dense(),
              "the tensor must be dense, its elements fill one piece of memory: give it contiguous()");
  switch (tensor.scalar_type()) {
    case at::kFloat:
    case at::kDouble:
    case at::kHalf:
    case at::kBFloat16:
    case at::kChar:
    case at::kByte:
    case at::kBool:
    case at::kInt:
    case at::kLong:
      return;
    default:
      TORCH_CHECK(false, "no backend takes tensors of ", tensor.scalar_type());
  }
}

}  // namespace

std::shared_ptr<Collective> Group::allReduce(at::Tensor tensor, c10d::ReduceOp::RedOpType operation) {
  checkTensor(tensor);
  return start(Collective::Call::AllReduce, tensor, operation, [tensor, operation](c10d::Backend& backend) {
    std::vector<at::Tensor> tensors{tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = operation;
    return backend.allreduce(tensors, options);
  });
}

std::shared_ptr<Collective> Group::broadcast(at::Tensor tensor, int source) {
  checkTensor(tensor);
  return start(Collective::Call::Broadcast, tensor, source, [tensor, source](c10d::Backend& backend) {
    std::vector<at::Tensor> tensors{tensor};
    c10d::BroadcastOptions options;
    options.rootRank = source;
    return backend.broadcast(tensors, options);
  });
}

// To agree on it is to have come to it.
std::shared_ptr<Collective> Group::barrier() { return start(Collective::Call::Barrier, {}, 0, nullptr); }

void Group::begin(const at::Tensor& tensor) {
  begun_[tensor.storage().unsafeGetStorageImpl()] = allReduce(tensor.detach(), c10d::ReduceOp::SUM);
}

std::shared_ptr<Collective> Group::begun(const at::Tensor& tensor) {
  auto found = begun_.extract(tensor.storage().unsafeGetStorageImpl());
  TORCH_CHECK(!found.empty(), "no exchange of this tensor was begun");
  return std::move(found.mapped());
}

void Group::lose(const std::string& reason) {
  auto failure = std::make_shared<Failure>();
  failure->kind = Failure::Kind::Distributed;
  failure->op = "distributed";
  failure->message = reason;
  std::deque<std::shared_ptr<Collective>> lost;
  {
    std::lock_guard lock(mutex_);
    failure_ = failure;
    lost = std::exchange(underWay_, {});
  }
  for (const auto& collective : lost) {
    collective->failure = failure;
    Executor::instance().open(*collective);
  }
  // Else the executor might wait on a stream for ever.
  if (gpu_) gpu_->abort();
}

void Group::leave(const std::string& reason) {
  auto& all = registry();
  watch_->stop(reason);
  bool idle = true;
  {
    std::lock_guard lock(mutex_);
    idle = !failure_ && underWay_.empty();
  }
  if (idle && settings_.serve) {
    const auto until = std::chrono::steady_clock::now() + kFarewell;
    while (!watch_->othersHaveLeft() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(50ms);
  }
  {
    std::lock_guard lock(all.mutex);
    if (all.group.get() != this) return;
    // The destructor of a backend waits for operations that may never end: what is not idle stays, with its threads.
    if (!idle) new std::shared_ptr<Group>(all.group);
    all.group.reset();
  }
  if (idle) {
    // Else its destructor warns that nobody has left.
    if (gpu_) gpu_->shutdown();
    gpu_.reset();
    cpu_.reset();
    watch_.reset();
    store_.reset();
    --all.active;
  }
}

}  // namespace ld
