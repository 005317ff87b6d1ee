#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <limits>

#include "cuda/kernels.h"
#include "kernels/augment/augment.h"
#include "kernels/augment/cuda.h"

namespace ld {

namespace {

using Optional = std::optional<at::Tensor>;

at::Tensor augment(const at::Tensor& images, const at::Tensor& lattice, const at::Tensor& rows, const at::Tensor& columns,
                   const Optional& down, const Optional& across, const Optional& grey, const Optional& factor, const Optional& exponent,
                   int64_t padding) {
  constexpr int64_t kMostBlocks = 65535, kMostWide = std::numeric_limits<int>::max() / 2;
  const bool fits = images.dim() == 4 && images.scalar_type() == at::kFloat && lattice.dim() == 4 &&
                    lattice.size(3) <= augmentation::kMostColumns && lattice.size(2) < kMostWide && images.size(0) <= kMostBlocks &&
                    images.size(1) < kMostWide && images.size(2) <= kMostBlocks && images.size(3) < kMostWide;
  if (!fits) return augmentComposite(images, lattice, rows, columns, down, across, grey, factor, exponent, padding);
  checkAugment({images, lattice, rows, columns, down, across, grey, factor, exponent, padding});
  const c10::cuda::CUDAGuard guard(images.device());
  const auto inRows = [](const Optional& tensor) { return tensor && tensor->defined() ? tensor->contiguous() : at::Tensor(); };
  const auto pointer = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr; };
  const at::Tensor source = images.contiguous(), knots = lattice.contiguous(), r = rows.contiguous(), c = columns.contiguous();
  const at::Tensor hole[3] = {inRows(down), inRows(across), inRows(grey)}, factors = inRows(factor), exponents = inRows(exponent);
  const at::Tensor result = at::empty(images.sizes(), images.options());
  const auto size = [](const at::Tensor& tensor, int64_t dim) { return static_cast<int>(tensor.size(dim)); };
  const augmentation::Augment kernel{size(source, 0), size(source, 1), size(source, 2), size(source, 3), size(knots, 2), size(knots, 3),
                                     pointer(source), pointer(knots), pointer(r), pointer(c), pointer(hole[0]), pointer(hole[1]),
                                     pointer(hole[2]), pointer(factors), pointer(exponents),
                                     static_cast<augmentation::Padding>(padding), result.mutable_data_ptr<float>()};
  augmentation::startOnDevice(kernel, c10::cuda::getCurrentCUDAStream());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
}

}  // namespace

void registerAugmentCuda(torch::Library& library) { library.impl("augment", &augment); }

}  // namespace ld
