// The processes that work together, as this one sees them: torch.distributed's default process group. It starts
// collective operations and says why none can be had any more once a rank is gone.
#pragma once

#include <torch/csrc/distributed/c10d/Types.hpp>

#include <deque>
#include <memory>
#include <unordered_map>

#include "distributed/backends.h"
#include "distributed/collective.h"
#include "distributed/watch.h"

namespace ld {

class Group : public std::enable_shared_from_this<Group> {
 public:
  struct Settings {
    std::string host;      // of the store
    uint16_t port = 0;     // the same
    bool serve = false;    // this process keeps the store
    int rank = 0;
    int size = 1;
    std::string backend;   // "gloo", "nccl", or "" for all that there are
    std::chrono::milliseconds timeout{0};  // of meeting and of every operation
  };

  // Meets the others and becomes the process's group. Blocks: for a thread that may. Throws c10::Error.
  static void join(const Settings& settings);
  // The process's group; throws c10::Error where there is none.
  static std::shared_ptr<Group> current();
  // Whether threads of a group may be at work.
  static bool isActive();

  // Of the executor, or of a backward pass that it waits for. They start the operation, in place, and return;
  // throw c10::Error for tensors that no backend takes.
  std::shared_ptr<Collective> allReduce(at::Tensor tensor, c10d::ReduceOp::RedOpType operation);
  std::shared_ptr<Collective> broadcast(at::Tensor tensor, int source);
  std::shared_ptr<Collective> barrier();

  // Of the executor: a sum over all ranks that an operator starts, and that is asked for later by its tensor. Throws
  // c10::Error where none was begun.
  void begin(const at::Tensor& tensor);
  std::shared_ptr<Collective> begun(const at::Tensor& tensor);

  int size() const { return settings_.size; }

  // Leaves, in peace or with the reason that the others are told. Blocks for some seconds at most.
  void leave(const std::string& reason);

 private:
  explicit Group(Settings settings) : settings_(std::move(settings)) {}
  void meet();
  std::shared_ptr<Collective> start(Collective::Call call, at::Tensor tensor, int64_t detail,
                                    std::function<Collective::WorkPtr(c10d::Backend&)> launch);
  // Runs `next` on a thread of the backend when the work is done.
  void then(const Collective::WorkPtr& work, std::function<void()> next);
  // Launches the operation when all ranks are about to do the same. Gloo ends the process of a rank that gets
  // more bytes than it expects, so what each is about to do is compared first, in 64 bytes.
  void agree(const std::shared_ptr<Collective>& collective);
  // What `action` throws fails the operation.
  template <typename Action>
  void guarded(const std::shared_ptr<Collective>& collective, Action action);
  void end(const std::shared_ptr<Collective>& collective);
  void lose(const std::string& reason);

  const Settings settings_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::Backend> cpu_;
  c10::intrusive_ptr<c10d::Backend> gpu_;
  std::unique_ptr<Watch> watch_;

  // By their tensors' memory; of the executor.
  std::unordered_map<const c10::StorageImpl*, std::shared_ptr<Collective>> begun_;

  std::mutex mutex_;
  // On the CPU they go one after the other, the same on all ranks; the front one is in the backend's hands.
  std::deque<std::shared_ptr<Collective>> underWay_;
  FailurePtr failure_;
};

}  // namespace ld
