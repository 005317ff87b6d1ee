#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "cuda/kernels.h"
#include "cuda/multiprocessors.h"
#include "kernels/spatial_softmax_loss/cuda.h"

namespace ld {

namespace {

using namespace softmax_loss;

constexpr int kReadingBlocks = 4;  // of each multiprocessor
constexpr int kWritingBlocks = 32;

Cut cutFor(const at::Tensor& logits, int blocksPerProcessor) {
  constexpr int64_t kMostImages = 65535;
  TORCH_CHECK(logits.size(0) <= kMostImages, "at most ", kMostImages, " images a batch, got ", logits.size(0));
  return cut(logits.size(0), logits.size(2) * logits.size(3), static_cast<int>(logits.size(1)),
             blocksPerProcessor * multiprocessors(logits.device()));
}

void checkArguments(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& mask) {
  TORCH_CHECK(logits.dim() == 4 && logits.numel() > 0, "the logits must be [B, N, H, W], got ", logits.sizes());
  TORCH_CHECK(logits.scalar_type() == at::kFloat || logits.scalar_type() == at::kBFloat16,
              "float32 or bfloat16 is wanted, got ", logits.scalar_type());
  const auto points = logits.sizes().slice(0, 2);
  TORCH_CHECK(target.sizes() == points && target.scalar_type() == at::kLong && target.device() == logits.device(),
              "target must be int64 of shape ", points, " on ", logits.device());
  TORCH_CHECK(mask.sizes() == points && mask.scalar_type() == at::kFloat && mask.device() == logits.device(),
              "mask must be float32 of shape ", points, " on ", logits.device());
}

template <typename Use>
void withElement(const at::Tensor& x, Use use) {
  if (x.scalar_type() == at::kFloat) {
    use(float{});
  } else {
    use(BFloat16{});
  }
}

template <typename Arguments>
void queue(const Arguments& arguments) {
  startOnDevice(arguments, c10::cuda::getCurrentCUDAStream());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> forward(const at::Tensor& given, const at::Tensor& target, const at::Tensor& mask) {
  checkArguments(given, target, mask);
  const c10::cuda::CUDAGuard guard(given.device());
  const at::Tensor logits = given.contiguous(at::MemoryFormat::ChannelsLast), t = target.contiguous(), m = mask.contiguous();
  const Cut plan = cutFor(logits, kReadingBlocks);
  const auto options = logits.options().dtype(at::kFloat).memory_format(std::nullopt);
  const at::Tensor nll = at::empty({}, options), mse = at::empty({}, options);
  const auto each = [&] { return at::empty(t.sizes(), options); };
  const at::Tensor largest = each(), exponentials = each(), squares = each();
  constexpr int64_t kFloats = sizeof(Part) / sizeof(float);
  const at::Tensor parts = at::empty({t.numel() * plan.splits * kFloats}, options);
  withElement(logits, [&](auto element) {
    using T = decltype(element);
    queue(Forward<T>{plan, static_cast<const T*>(logits.const_data_ptr()), t.const_data_ptr<int64_t>(), m.const_data_ptr<float>(),
                     static_cast<Part*>(parts.mutable_data_ptr()), squares.mutable_data_ptr<float>(), largest.mutable_data_ptr<float>(),
                     exponentials.mutable_data_ptr<float>(), nll.mutable_data_ptr<float>(), mse.mutable_data_ptr<float>()});
  });
  return {nll, mse, largest, exponentials};
}

at::Tensor backward(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& given, const at::Tensor& target,
                    const at::Tensor& mask, const at::Tensor& largest, const at::Tensor& exponentials) {
  checkArguments(given, target, mask);
  for (const at::Tensor& each : {dnll, dmse}) {
    TORCH_CHECK(each.numel() == 1 && each.scalar_type() == at::kFloat && each.device() == given.device(),
                "dnll and dmse must be single float32 numbers on ", given.device());
  }
  for (const at::Tensor& each : {largest, exponentials}) {
    TORCH_CHECK(each.sizes() == target.sizes() && each.scalar_type() == at::kFloat && each.device() == given.device(),
                "largest and exponentials must be float32 of shape ", target.sizes());
  }
  const c10::cuda::CUDAGuard guard(given.device());
  const at::Tensor logits = given.contiguous(at::MemoryFormat::ChannelsLast), t = target.contiguous(), m = mask.contiguous();
  const at::Tensor tops = largest.contiguous(), sums = exponentials.contiguous(), dx = at::empty_like(logits);
  const at::Tensor coefficients = at::empty({t.numel() * 3}, tops.options());
  withElement(logits, [&](auto element) {
    using T = decltype(element);
    queue(Backward<T>{cutFor(logits, kWritingBlocks), static_cast<const T*>(logits.const_data_ptr()), static_cast<T*>(dx.mutable_data_ptr()),
                      t.const_data_ptr<int64_t>(), m.const_data_ptr<float>(), tops.const_data_ptr<float>(),
                      sums.const_data_ptr<float>(), dnll.const_data_ptr<float>(),
                      dmse.const_data_ptr<float>(), coefficients.mutable_data_ptr<float>()});
  });
  // In the memory format of the logits.
  return given.is_contiguous() ? dx.contiguous() : dx;
}

}  // namespace

void registerSpatialSoftmaxLossCuda(torch::Library& library) {
  library.impl("spatial_softmax_loss", &forward);
  library.impl("spatial_softmax_loss_backward", &backward);
}

}  // namespace ld
