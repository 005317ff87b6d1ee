#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "cuda/kernels.h"
#include "cuda/multiprocessors.h"
#include "kernels/group_norm_silu/cuda.h"

namespace ld {

namespace {

using namespace group_norm_silu;

using Optional = std::optional<at::Tensor>;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

// Kernels load 16 bytes at a time, which a view may begin in the middle of; a device does not survive that.
at::Tensor aligned(const at::Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0 ? tensor : tensor.clone();
}

// [N, C, ...] as [N, C, pixels, 1] whose memory is [N, pixels, C]; a copy only where it lies differently.
at::Tensor channelsLast(const at::Tensor& x) {
  TORCH_CHECK(x.dim() >= 2, "x is [N, C, ...], got ", x.sizes());
  const at::Tensor image = x.dim() == 4 ? x : x.reshape({x.size(0), x.size(1), -1, 1});
  return aligned(image.contiguous(at::MemoryFormat::ChannelsLast));
}

// A result in the shape and memory format of the input, as the operators promise.
at::Tensor likeGiven(const at::Tensor& result, const at::Tensor& given) {
  const auto format = given.suggest_memory_format();
  return result.reshape(given.sizes()).contiguous(given.is_contiguous(format) ? format : at::MemoryFormat::Contiguous);
}

// Parameters as the kernels read them.
at::Tensor floats(const Optional& parameter, const at::Tensor& x) {
  if (!parameter || !parameter->defined()) return {};
  TORCH_CHECK(parameter->numel() == x.size(1) && parameter->device() == x.device(), "weight and bias are [", x.size(1), "] on ",
              x.device(), ", got ", parameter->sizes(), " on ", parameter->device());
  return aligned(parameter->to(at::kFloat).contiguous());
}

const float* pointer(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr; }

Plan planFor(const at::Tensor& x, int64_t groups) {
  TORCH_CHECK(groups > 0 && x.size(1) % groups == 0, x.size(1), " channels are not split by ", groups, " groups");
  constexpr int64_t kMostImages = 65535;
  TORCH_CHECK(x.size(0) <= kMostImages, "at most ", kMostImages, " images a batch, got ", x.size(0));
  return plan(x.size(0), x.size(2) * x.size(3), static_cast<int>(x.size(1)), static_cast<int>(groups),
              static_cast<int>(x.element_size()), multiprocessors(x.device()));
}

// Calls `use` with a value of the device's element type.
template <typename Use>
void withElement(const at::Tensor& x, Use use) {
  if (x.scalar_type() == at::kFloat) {
    use(float{});
  } else {
    TORCH_CHECK(x.scalar_type() == at::kBFloat16, "float32 or bfloat16 is wanted, got ", x.scalar_type());
    use(BFloat16{});
  }
}

template <typename Arguments>
void queue(const Arguments& arguments) {
  startOnDevice(arguments, c10::cuda::getCurrentCUDAStream());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

struct Statistics {
  Statistics(const at::Tensor& x, const Plan& plan)
      : mean(at::empty({x.size(0), plan.sums.groups}, x.options().dtype(at::kFloat))),
        rstd(at::empty_like(mean)),
        partial(at::empty({plan.partialFloats()}, mean.options())) {}
  at::Tensor mean, rstd, partial;
};

template <bool Silu>
Three forward(const at::Tensor& given, const Optional& weight, const Optional& bias, int64_t groups, double eps) {
  const c10::cuda::CUDAGuard guard(given.device());
  const at::Tensor x = channelsLast(given);
  const Plan plan = planFor(x, groups);
  const Statistics made(x, plan);
  const at::Tensor w = floats(weight, x), b = floats(bias, x);
  const at::Tensor y = at::empty_like(x);
  if (x.numel() > 0) {
    withElement(x, [&](auto element) {
      using T = decltype(element);
      float* mean = made.mean.mutable_data_ptr<float>();
      float* rstd = made.rstd.mutable_data_ptr<float>();
      queue(Forward<T, Silu>{plan, static_cast<const T*>(x.const_data_ptr()), static_cast<T*>(y.mutable_data_ptr()),
                       {mean, rstd, pointer(w), pointer(b)}, mean, rstd, made.partial.mutable_data_ptr<float>(),
                       static_cast<float>(eps)});
    });
  }
  return {likeGiven(y, given), made.mean, made.rstd};
}

Three residual(const at::Tensor& given, const at::Tensor& other, const Optional& bias, int64_t groups, double eps) {
  const c10::cuda::CUDAGuard guard(given.device());
  TORCH_CHECK(other.sizes() == given.sizes() && other.scalar_type() == given.scalar_type() && other.device() == given.device(),
              "x and residual differ: ", given.scalar_type(), given.sizes(), " and ", other.scalar_type(), other.sizes());
  const at::Tensor x = channelsLast(given), r = channelsLast(other);
  const Plan plan = planFor(x, groups);
  const Statistics made(x, plan);
  const at::Tensor b = floats(bias, x);
  const at::Tensor y = at::empty_like(x);
  if (x.numel() > 0) {
    withElement(x, [&](auto element) {
      using T = decltype(element);
      queue(Residual<T>{plan,
                        {static_cast<const T*>(x.const_data_ptr()), static_cast<const T*>(r.const_data_ptr()), pointer(b),
                         static_cast<T*>(y.mutable_data_ptr())},
                        made.mean.mutable_data_ptr<float>(), made.rstd.mutable_data_ptr<float>(),
                        made.partial.mutable_data_ptr<float>(), static_cast<float>(eps)});
    });
  }
  return {likeGiven(y, given), made.mean, made.rstd};
}

template <bool Silu>
Three backward(const at::Tensor& gradient, const at::Tensor& given, const at::Tensor& mean, const at::Tensor& rstd,
               const Optional& weight, const Optional& bias, int64_t groups, std::array<bool, 3> wanted) {
  const c10::cuda::CUDAGuard guard(given.device());
  TORCH_CHECK(gradient.sizes() == given.sizes(), "dy is ", gradient.sizes(), ", x is ", given.sizes());
  const at::Tensor x = channelsLast(given), dy = channelsLast(gradient.to(given.scalar_type()));
  const Plan plan = planFor(x, groups);
  const at::Tensor w = floats(weight, x), b = floats(bias, x), m = mean.contiguous(), r = rstd.contiguous();
  TORCH_CHECK(m.numel() == x.size(0) * groups && r.numel() == m.numel() && m.scalar_type() == at::kFloat && r.scalar_type() == at::kFloat,
              "mean and rstd are float32 [", x.size(0), ", ", groups, "]");
  const at::Tensor partial = at::empty({plan.partialFloats()}, m.options());
  const at::Tensor coefficients = at::empty({plan.coefficientFloats()}, m.options());
  at::Tensor dx, dw, db;
  if (wanted[0]) dx = at::empty_like(x);
  if (wanted[1]) dw = at::zeros({x.size(1)}, m.options());
  if (wanted[2]) db = at::zeros({x.size(1)}, m.options());
  if (x.numel() > 0) {
    withElement(x, [&](auto element) {
      using T = decltype(element);
      queue(Backward<T, Silu>{plan, static_cast<const T*>(dy.const_data_ptr()), static_cast<const T*>(x.const_data_ptr()),
                        wanted[0] ? static_cast<T*>(dx.mutable_data_ptr()) : nullptr,
                        {m.const_data_ptr<float>(), r.const_data_ptr<float>(), pointer(w), pointer(b)},
                        wanted[1] ? dw.mutable_data_ptr<float>() : nullptr, wanted[2] ? db.mutable_data_ptr<float>() : nullptr,
                        partial.mutable_data_ptr<float>(), coefficients.mutable_data_ptr<float>()});
    });
  }
  // As the parameters are, so that autograd can add the gradients to them.
  const auto like = [](const at::Tensor& made, const Optional& parameter) {
    return made.defined() && parameter ? made.to(parameter->scalar_type()) : made;
  };
  return {wanted[0] ? likeGiven(dx, given) : dx, like(dw, weight), like(db, bias)};
}

}  // namespace

void registerGroupNormSiluCuda(torch::Library& library) {
  library.impl("group_norm", &forward<false>);
  library.impl("group_norm_backward", &backward<false>);
  library.impl("group_norm_silu", &forward<true>);
  library.impl("group_norm_silu_backward", &backward<true>);
  library.impl("residual_statistics", &residual);
}

}  // namespace ld
