// The device code of augment, written so that the host can run it too (phased.h). A block makes a row of the result.
// Its row of the map is first put together from the lattice, in shared memory; then each thread finds where its pixels
// come from, and samples there. Map and samples are float32 whatever is set for matrix products: in TF32 the map of
// an image of 800 rows would be off by a third of a pixel.
#pragma once

#include <cmath>

#include "kernels/phased.h"

namespace ld::augmentation {

constexpr int kThreads = 256;
// What a block's shared memory holds of a row of the map, x and y.
constexpr int kMostColumns = 4096;

enum class Padding { Zeros, Border, Reflection };

// Weights of the four pixels around a place, `t` past the second of them: cubic convolution (Keys 1981) with a = -0.75.
struct Cubic {
  float weights[4];

  LD_HOST_DEVICE explicit Cubic(float t) {
    constexpr float a = -0.75f;
    const auto near = [](float x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
    const auto far = [](float x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
    weights[0] = far(t + 1);
    weights[1] = near(t);
    weights[2] = near(1 - t);
    weights[3] = far(2 - t);
  }
};

// Where a pixel number outside of 0 ... size - 1 is read instead, or -1 for nowhere.
LD_HOST_DEVICE int padded(int i, int size, Padding padding) {
  if (i >= 0 && i < size) return i;
  if (padding == Padding::Zeros) return -1;
  if (padding == Padding::Border) return i < 0 ? 0 : size - 1;
  const int span = size - 1;
  if (span == 0) return 0;
  const int distance = i < 0 ? -i : i;
  const int rest = distance % span;
  return distance / span % 2 == 0 ? rest : span - rest;
}

LD_HOST_DEVICE float toGreys(float value) { return value < 0 ? 0.0f : value > 255 ? 255.0f : value; }

struct Augment {
  static constexpr int kPhases = 2;
  static constexpr int kMostThreads = kThreads;
  int images, channels, height, width;
  int rows, columns;  // of the lattice
  const float* source;
  const float* lattice;
  const float* rowWeights;     // [height, rows]
  const float* columnWeights;  // [columns, width]
  const float* down;           // [images, height], null for no rectangle
  const float* across;         // [images, width]
  const float* grey;           // [images]
  const float* factor;         // [images], null for 1
  const float* exponent;       // [images], null for 1
  Padding padding;
  float* result;

  Grid grid() const { return {1, height, images, kThreads, 2 * columns * static_cast<int>(sizeof(float))}; }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char* memory) const {
    float* map = reinterpret_cast<float*>(memory);
    const int64_t image = block.z, y = block.y;
    if constexpr (Phase == 0) {
      for (int i = thread; i < 2 * columns; i += kThreads) {
        const float* knots = lattice + (image * 2 + i / columns) * rows * columns + i % columns;
        float sum = 0;
        for (int r = 0; r < rows; ++r) sum += rowWeights[y * rows + r] * knots[static_cast<int64_t>(r) * columns];
        map[i] = sum;
      }
    } else {
      for (int x = thread; x < width; x += kThreads) {
        float at[2] = {0, 0};
        for (int c = 0; c < columns; ++c) {
          const float weight = columnWeights[static_cast<int64_t>(c) * width + x];
          at[0] += weight * map[c];
          at[1] += weight * map[columns + c];
        }
        for (int channel = 0; channel < channels; ++channel) {
          const int64_t plane = (image * channels + channel) * height * width;
          result[plane + y * width + x] = changed(image, sample(image, plane, at[0], at[1]));
        }
      }
    }
  }

 private:
  LD_HOST_DEVICE float sample(int64_t image, int64_t plane, float across1, float down1) const {
    const float x = place(across1, width), y = place(down1, height);
    const float left = std::floor(x), top = std::floor(y);
    const Cubic horizontal(x - left), vertical(y - top);
    float sum = 0;
    for (int j = 0; j < 4; ++j) {
      const int row = padded(static_cast<int>(top) - 1 + j, height, padding);
      float line = 0;
      for (int i = 0; i < 4; ++i) {
        const int column = padded(static_cast<int>(left) - 1 + i, width, padding);
        if (row >= 0 && column >= 0) line += horizontal.weights[i] * pixel(image, plane, row, column);
      }
      sum += vertical.weights[j] * line;
    }
    return sum;
  }

  // -1 ... 1 as pixels. What is no number, or too far for one, is outside.
  LD_HOST_DEVICE static float place(float coordinate, int size) {
    constexpr float kFar = 1 << 30;
    const float pixels = (coordinate + 1) / 2 * static_cast<float>(size - 1);
    return pixels > -kFar && pixels < kFar ? pixels : -100.0f;
  }

  LD_HOST_DEVICE float pixel(int64_t image, int64_t plane, int row, int column) const {
    const float value = source[plane + static_cast<int64_t>(row) * width + column];
    if (!down) return value;
    return value + down[image * height + row] * across[image * width + column] * (grey[image] - value);
  }

  LD_HOST_DEVICE float changed(int64_t image, float value) const {
    value = toGreys(value);
    if (factor) value = toGreys(value * factor[image]);
    return exponent ? std::pow(value / 255, exponent[image]) * 255 : value;
  }
};

}  // namespace ld::augmentation
