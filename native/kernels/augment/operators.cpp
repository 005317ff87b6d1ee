#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/library.h>

#include "kernels/augment/augment.h"

namespace ld {

namespace {

using Optional = std::optional<at::Tensor>;

bool isGiven(const Optional& tensor) { return tensor && tensor->defined(); }

at::Tensor meta(const at::Tensor& images, const at::Tensor& lattice, const at::Tensor& rows, const at::Tensor& columns,
                const Optional& down, const Optional& across, const Optional& grey, const Optional& factor, const Optional& exponent,
                int64_t padding) {
  checkAugment({images, lattice, rows, columns, down, across, grey, factor, exponent, padding});
  return at::empty(images.sizes(), images.options());
}

}  // namespace

void checkAugment(const AugmentArguments& a) {
  const auto fits = [&](const at::Tensor& tensor, at::IntArrayRef shape, const char* name) {
    TORCH_CHECK(tensor.defined() && !tensor.is_nested() && tensor.layout() == at::kStrided && tensor.sizes() == shape &&
                    tensor.scalar_type() == a.images.scalar_type() && tensor.device() == a.images.device(),
                name, " must be of shape ", shape, ", of the dtype and on the device of the images");
  };
  TORCH_CHECK(a.images.defined() && !a.images.is_nested() && a.images.layout() == at::kStrided && a.images.dim() == 4 && a.images.numel() > 0 &&
                  (a.images.scalar_type() == at::kFloat || a.images.scalar_type() == at::kDouble),
              "the images must be float32 or float64 of shape [B, C, H, W], with pixels");
  const int64_t batch = a.images.size(0), height = a.images.size(2), width = a.images.size(3);
  TORCH_CHECK(a.lattice.defined() && !a.lattice.is_nested() && a.lattice.dim() == 4, "lattice must be of shape [B, 2, rows, columns]");
  const int64_t rows = a.lattice.size(2), columns = a.lattice.size(3);
  fits(a.lattice, {batch, 2, rows, columns}, "lattice");
  fits(a.rows, {height, rows}, "rows");
  fits(a.columns, {columns, width}, "columns");
  TORCH_CHECK(isGiven(a.down) == isGiven(a.across) && isGiven(a.down) == isGiven(a.grey), "down, across and grey are given together or not at all");
  if (isGiven(a.down)) {
    fits(*a.down, {batch, 1, height, 1}, "down");
    fits(*a.across, {batch, 1, 1, width}, "across");
    fits(*a.grey, {batch, 1, 1, 1}, "grey");
  }
  if (isGiven(a.factor)) fits(*a.factor, {batch, 1, 1, 1}, "factor");
  if (isGiven(a.exponent)) fits(*a.exponent, {batch, 1, 1, 1}, "exponent");
  TORCH_CHECK(a.padding >= 0 && a.padding <= 2, "padding is 0 (zeros), 1 (border) or 2 (reflection), got ", a.padding);
}

at::Tensor augmentComposite(const at::Tensor& images, const at::Tensor& lattice, const at::Tensor& rows, const at::Tensor& columns,
                            const Optional& down, const Optional& across, const Optional& grey, const Optional& factor,
                            const Optional& exponent, int64_t padding) {
  checkAugment({images, lattice, rows, columns, down, across, grey, factor, exponent, padding});
  constexpr int64_t kBicubic = 2;
  const at::Tensor grid = rows.matmul(lattice).matmul(columns).permute({0, 2, 3, 1});
  const at::Tensor source = isGiven(down) ? images + *down * *across * (*grey - images) : images;
  at::Tensor result = at::grid_sampler(source, grid, kBicubic, padding, /*align_corners=*/true).clamp_(0, 255);
  if (isGiven(factor)) result.mul_(*factor).clamp_(0, 255);
  if (isGiven(exponent)) result.div_(255).pow_(*exponent).mul_(255);
  return result;
}

void registerAugment(torch::Library& library) {
  library.def(kAugmentSchema);
  library.impl("augment", c10::DispatchKey::CompositeExplicitAutograd, &augmentComposite);
  library.impl("augment", c10::DispatchKey::Meta, &meta);
  library.impl("augment", c10::DispatchKey::Autograd, torch::autograd::autogradNotImplementedFallback());
}

}  // namespace ld
