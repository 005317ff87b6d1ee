#include "program/cuda_graph.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>

#include <map>
#include <mutex>

namespace ld::program {

namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

// Memory that the graphs of a device share: each replay copies its results out before the next one begins, all on one
// stream, so what one graph needs in between the others may write over. Without it, programs that differ only in how
// an image is padded would hold the activations of a step each.
struct Pool {
  const c10::MempoolId_t id = at::cuda::graph_pool_handle();

  // A pool that no graph uses any more cannot be entered again: then there is a new one.
  static std::shared_ptr<Pool> of(c10::DeviceIndex device) {
    static auto* const mutex = new std::mutex();
    static auto* const pools = new std::map<c10::DeviceIndex, std::weak_ptr<Pool>>();
    std::lock_guard lock(*mutex);
    auto& known = (*pools)[device];
    auto pool = known.lock();
    if (!pool) known = pool = std::make_shared<Pool>();
    return pool;
  }
};

// One whose capture can be given up in the middle.
class Graph : public at::cuda::CUDAGraph {
 public:
  // capture_end does so only where the capture has succeeded; a generator of libtorch 2.11 and 2.12 that is left in the
  // middle of a capture refuses to draw anything from then on.
  void releaseGenerators() {
    for (auto& [state, increment] : captured_generator_states_) outOfCapture(*state);
  }

 private:
  template <typename State>
  static void outOfCapture(State& state) {
    if constexpr (requires { state.capturing_; }) state.capturing_ = false;
  }
};

class CudaCapture : public GraphCapture {
 public:
  explicit CudaCapture(c10::DeviceIndex device) : device_(device), stream_(c10::cuda::getCurrentCUDAStream(device)) {}

  // On whichever thread lets go of the program.
  ~CudaCapture() override {
    // What still runs of it must end before its memory goes back.
    try {
      stream_.synchronize();
      graph_.reset();
    } catch (const c10::Error&) {
      // A device that failed holds nothing any more.
    }
  }

  std::vector<at::Tensor> record(const std::vector<at::Generator>& generators,
                                 const std::function<std::vector<at::Tensor>()>& work) override {
    const c10::cuda::CUDAGuard guard(device_);
    TORCH_CHECK(stream_ != c10::cuda::getDefaultCUDAStream(device_), "a graph cannot be captured from the default stream");
    // The device's default generator registers itself.
    for (const at::Generator& generator : generators) {
      if (generator.device().is_cuda()) graph_.register_generator_state(generator);
    }
    stream_.synchronize();
    // What the warm-up left in the cache cannot be used by a capture, which needs as much once more.
    allocator::emptyCache();
    try {
      // Thread-local: Node's other threads allocate pinned memory and ask for events meanwhile, which the default
      // mode would take for a part of this capture and fail it.
      graph_.capture_begin(pool_->id, cudaStreamCaptureModeThreadLocal);
      auto outputs = work();
      graph_.capture_end();
      return outputs;
    } catch (...) {
      abandon();
      throw;
    }
  }

  void replay() override { graph_.replay(); }

 private:
  // A capture that is not ended leaves its stream unusable, and both allocators in the middle of it: CUDAGraph ends
  // that only where the capture has succeeded.
  void abandon() {
    try {
      graph_.capture_end();
    } catch (const c10::Error&) {
      // It says once more that the capture failed.
    }
    cudaGetLastError();
    graph_.releaseGenerators();
    try {
      allocator::endAllocateToPool(device_, pool_->id);
      allocator::releasePool(device_, pool_->id);
      at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool_->id);
      at::getHostAllocator(at::kCUDA)->release_pool(pool_->id);
    } catch (const c10::Error&) {
      // It has been ended.
    }
  }

  const c10::DeviceIndex device_;
  const c10::cuda::CUDAStream stream_;
  const std::shared_ptr<Pool> pool_ = Pool::of(device_);
  Graph graph_;
};

}  // namespace

std::unique_ptr<GraphCapture> makeCudaCapture(c10::DeviceIndex device) { return std::make_unique<CudaCapture>(device); }

}  // namespace ld::program
