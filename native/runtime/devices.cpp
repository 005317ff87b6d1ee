#include "runtime/devices.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace ld {

namespace {

using c10::impl::VirtualGuardImpl;
using namespace std::chrono_literals;

constexpr int kMost = 64;

std::atomic<uint64_t> named{0};
uint64_t entered = 0;  // executor thread only

// Waits for events in the order in which they were recorded.
class Watcher {
 public:
  struct Watch {
    std::vector<c10::Event> events;
    std::function<void(FailurePtr)> done;
  };

  // Leaked: its thread may still look at an event while the process ends.
  static Watcher& instance() {
    static auto* const watcher = new Watcher();
    return *watcher;
  }

  void add(Watch watch) {
    std::lock_guard lock(mutex_);
    watches_.push_back(std::move(watch));
    changed_.notify_one();
  }

 private:
  Watcher() { std::thread([this] { run(); }).detach(); }

  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !watches_.empty(); });
      Watch watch = std::move(watches_.front());
      watches_.pop_front();
      lock.unlock();
      watch.done(wait(watch.events));
    }
  }

  // Not synchronize(): it would keep a core busy for as long as the device computes.
  static FailurePtr wait(const std::vector<c10::Event>& events) {
    try {
      for (const c10::Event& event : events) {
        for (int looks = 0; !event.query(); ++looks) {
          if (looks < 100) {
            std::this_thread::yield();
          } else {
            std::this_thread::sleep_for(20us);
          }
        }
      }
    } catch (...) {
      return currentFailure("synchronize", "", 0);
    }
    return nullptr;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Watch> watches_;
};

// Pinned memory on its way back to its allocator.
struct Returned {
  std::mutex mutex;
  std::vector<at::Tensor> tensors;
  std::atomic<bool> any{false};
};

Returned& returned() {
  static auto* const returned = new Returned();
  return *returned;
}

void giveBack(at::Tensor pinned) {
  Returned& all = returned();
  std::lock_guard lock(all.mutex);
  all.tensors.push_back(std::move(pinned));
  all.any.store(true, std::memory_order_relaxed);
}

void freeReturned() {
  Returned& all = returned();
  if (!all.any.load(std::memory_order_relaxed)) return;
  std::vector<at::Tensor> tensors;
  std::lock_guard lock(all.mutex);
  tensors.swap(all.tensors);
  all.any.store(false, std::memory_order_relaxed);
}

DeviceCount countDevices() {
#ifndef LD_CUDA
  return {0, "this addon is built for the CPU. docs/gpu.md says how to build it for CUDA"};
#else
  try {
    // What it throws tells no driver, one that is too old, and no device apart.
    at::globalContext().lazyInitDevice(at::kCUDA);
    return {static_cast<int>(at::detail::getCUDAHooks().deviceCount()), ""};
  } catch (const c10::Error& e) {
    return {0, e.what_without_backtrace()};
  }
#endif
}

}  // namespace

DeviceCount cudaDevices() {
  static const auto* const devices = new DeviceCount(countDevices());
  return *devices;
}

void nameDevice(at::Device device) {
  if (!device.is_cuda()) return;
  const DeviceCount devices = cudaDevices();
  const int index = device.has_index() ? device.index() : 0;
  TORCH_CHECK(devices.count > 0, "'", device.str(), "' cannot be used: ", devices.problem);
  TORCH_CHECK(index < std::min(devices.count, kMost), "'", device.str(), "' does not exist: there are ", devices.count,
              " CUDA devices, from cuda:0 on");
  named.fetch_or(uint64_t{1} << index);
}

void enterNamedDevices() {
  freeReturned();
  const uint64_t fresh = named.load(std::memory_order_relaxed) & ~entered;
  if (fresh == 0) return;
  entered |= fresh;
  const VirtualGuardImpl cuda(at::kCUDA);
  for (int i = 0; i < kMost; ++i) {
    if ((fresh >> i & 1) == 0) continue;
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(i));
    cuda.exchangeStream(cuda.getNewStream(device));
  }
}

void whenReached(std::function<void(FailurePtr)> done) {
  if (entered == 0) {
    done(nullptr);
    return;
  }
  Watcher::Watch watch{{}, std::move(done)};
  try {
    const VirtualGuardImpl cuda(at::kCUDA);
    for (int i = 0; i < kMost; ++i) {
      if ((entered >> i & 1) == 0) continue;
      watch.events.emplace_back(at::kCUDA);
      watch.events.back().record(cuda.getStream(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(i))));
    }
  } catch (...) {
    watch.done(currentFailure("synchronize", "", 0));
    return;
  }
  Watcher::instance().add(std::move(watch));
}

at::Tensor queueToHost(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  at::Tensor host = at::empty(dense.sizes(), at::TensorOptions().dtype(dense.scalar_type()).pinned_memory(true));
  if (dense.numel() == 0) return host;
  host.copy_(dense, /*non_blocking=*/true);
  // JavaScript lets go of it at any moment. Then its allocator records an event on the stream of the copy, which must
  // not be in the middle of a capture: so it goes back between two records.
  void* const bytes = host.mutable_data_ptr();
  const auto options = at::TensorOptions().dtype(host.scalar_type());
  const auto shape = host.sizes().vec();
  return at::from_blob(bytes, shape, [host = std::move(host)](void*) mutable { giveBack(std::move(host)); }, options);
}

at::Tensor pinned(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::empty(shape, at::TensorOptions().dtype(dtype).pinned_memory(true));
}

}  // namespace ld
