#include "program/cuda_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>

namespace ld::program {

namespace {

class CudaCapture : public GraphCapture {
 public:
  explicit CudaCapture(c10::DeviceIndex device) : device_(device) {}

  ~CudaCapture() override {
    // What still runs of it must end before its memory goes back.
    try {
      c10::cuda::getCurrentCUDAStream(device_).synchronize();
      graph_.reset();
    } catch (const c10::Error&) {
      // A device that failed holds nothing any more.
    }
  }

  std::vector<at::Tensor> record(const std::vector<at::Generator>& generators,
                                 const std::function<std::vector<at::Tensor>()>& work) override {
    const c10::cuda::CUDAGuard guard(device_);
    const auto stream = c10::cuda::getCurrentCUDAStream(device_);
    TORCH_CHECK(stream != c10::cuda::getDefaultCUDAStream(device_), "a graph cannot be captured from the default stream");
    // The device's default generator registers itself.
    for (const at::Generator& generator : generators) {
      if (generator.device().is_cuda()) graph_.register_generator_state(generator);
    }
    stream.synchronize();
    // Thread-local: Node's other threads allocate pinned memory and ask for events meanwhile, which the default
    // mode would take for a part of this capture and fail it.
    graph_.capture_begin(/*pool=*/{0, 0}, cudaStreamCaptureModeThreadLocal);
    std::vector<at::Tensor> outputs;
    try {
      outputs = work();
    } catch (...) {
      abandon();
      throw;
    }
    graph_.capture_end();
    return outputs;
  }

  void replay() override { graph_.replay(); }

 private:
  // A capture that is not ended leaves its stream unusable.
  void abandon() {
    try {
      graph_.capture_end();
    } catch (const c10::Error&) {
      // It says once more that the capture failed.
    }
    cudaGetLastError();
  }

  const c10::DeviceIndex device_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<GraphCapture> makeCudaCapture(c10::DeviceIndex device) { return std::make_unique<CudaCapture>(device); }

}  // namespace ld::program
