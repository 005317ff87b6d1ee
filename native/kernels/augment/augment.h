// Random changes of grey images in one pass (lib/data/augmentation.ts draws them): a smooth map of the plane, a filled
// rectangle, a factor and an exponent of the greys.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <optional>

namespace ld {

// images [B, C, H, W], 0 ... 255; lattice [B, 2, R, K], x then y of the map in the coordinates of grid_sampler with
// aligned corners; rows [H, R] and columns [K, W], the weights of its knots for each pixel. down [B, 1, H, 1], across
// [B, 1, 1, W] and grey [B, 1, 1, 1] are given together or not at all; factor and exponent are [B, 1, 1, 1]. padding:
// 0 zeros, 1 border, 2 reflection. All floats of one kind. Sampled bicubically; the result is [B, C, H, W].
inline constexpr auto kAugmentSchema =
    "augment(Tensor images, Tensor lattice, Tensor rows, Tensor columns, Tensor? down, Tensor? across, Tensor? grey, "
    "Tensor? factor, Tensor? exponent, int padding) -> Tensor";

struct AugmentArguments {
  using Optional = std::optional<at::Tensor>;
  const at::Tensor &images, &lattice, &rows, &columns;
  const Optional &down, &across, &grey, &factor, &exponent;
  int64_t padding;
};

void checkAugment(const AugmentArguments& arguments);

// By libtorch's operators, on any device.
at::Tensor augmentComposite(const at::Tensor& images, const at::Tensor& lattice, const at::Tensor& rows, const at::Tensor& columns,
                            const std::optional<at::Tensor>& down, const std::optional<at::Tensor>& across,
                            const std::optional<at::Tensor>& grey, const std::optional<at::Tensor>& factor,
                            const std::optional<at::Tensor>& exponent, int64_t padding);

void registerAugment(torch::Library& library);

}  // namespace ld
