#include "kernels/dropout/dropout.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <mutex>

#include "kernels/dropout/vector.h"

namespace ld {

namespace {

constexpr int64_t kBlocks = 64;  // of one task: some work for a thread

at::Tensor masked(const at::Tensor& x, uint64_t seed, double p, bool channelsLast) {
  using namespace philox;
  const double least = std::ceil(p * 4294967296.0);
  const at::Tensor in = x.contiguous(channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  if (least >= 4294967296.0) return at::zeros_like(in);
  const at::Tensor out = at::empty_like(in);
  const int64_t count = in.numel(), blocks = (count + kBlock - 1) / kBlock;
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, in.scalar_type(), "dropout", [&] {
    const auto scale = static_cast<acc_t<scalar_t>>(1 / (1 - p));
    const scalar_t* const from = in.const_data_ptr<scalar_t>();
    scalar_t* const to = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, blocks, kBlocks, [&](int64_t first, int64_t last) {
      const int64_t begin = first * kBlock, end = std::min(count, last * kBlock);
      LD_BEST(mask<scalar_t>)(from + begin, to + begin, end - begin, static_cast<uint64_t>(first), seed,
                                static_cast<uint32_t>(least), scale);
    });
  });
  return out;
}

uint64_t draw() {
  auto generator = at::detail::getDefaultCPUGenerator();
  auto* const own = at::check_generator<at::CPUGeneratorImpl>(generator);
  const std::lock_guard lock(own->mutex_);
  return own->random64();
}

}  // namespace

void checkDropout(const at::Tensor& x, double p) {
  const auto type = x.scalar_type();
  const bool known = type == at::kFloat || type == at::kDouble || type == at::kBFloat16 || type == at::kHalf;
  TORCH_CHECK(known && !x.is_nested() && x.layout() == at::kStrided && (x.is_cpu() || x.is_meta()),
              "the input must be dense float32, float64, bfloat16 or float16 on the CPU");
  TORCH_CHECK(p >= 0 && p <= 1, "the probability must be from 0 to 1, not ", p);
}

void checkDropoutBackward(const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast) {
  checkDropout(dy, p);
  TORCH_CHECK(!channelsLast || dy.dim() == 4, "channels_last is of images [N, C, H, W]");
  TORCH_CHECK(seed.layout() == at::kStrided && !seed.is_nested() && seed.scalar_type() == at::kLong && seed.dim() == 0 &&
                  seed.device() == dy.device(),
              "the seed must be an int64 scalar beside the gradient");
}

bool isMaskedLast(const at::Tensor& x) { return x.dim() == 4 && x.suggest_memory_format() == at::MemoryFormat::ChannelsLast; }

std::tuple<at::Tensor, at::Tensor> dropout(const at::Tensor& x, double p) {
  checkDropout(x, p);
  const at::Tensor seed = at::empty({}, at::TensorOptions().dtype(at::kLong));
  const uint64_t drawn = draw();
  *seed.mutable_data_ptr<int64_t>() = static_cast<int64_t>(drawn);
  return {masked(x, drawn, p, isMaskedLast(x)), seed};
}

at::Tensor dropoutBackward(const at::Tensor& dy, const at::Tensor& seed, double p, bool channelsLast) {
  checkDropoutBackward(dy, seed, p, channelsLast);
  return masked(dy, static_cast<uint64_t>(*seed.const_data_ptr<int64_t>()), p, channelsLast);
}

}  // namespace ld
