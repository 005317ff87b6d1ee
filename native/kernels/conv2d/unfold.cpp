#include "kernels/conv2d/unfold.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace ld {

namespace {

// The part of a row, or of a column, of `length` pixels whose neighbour at tap - 1 is inside.
struct Inside {
  Inside(int64_t tap, int64_t length) : first(tap == 0 ? 1 : 0), last(tap == 2 ? length - 1 : length) {}
  int64_t first, last;
};

// Calls visit(place, neighbour, count) for each tap's stretches of pixels that lie together, and whose neighbours do.
template <typename Visit>
void forEachStretch(int64_t tap, int64_t height, int64_t width, const Visit& visit) {
  const int64_t down = tap / 3, across = tap % 3;
  const Inside rows(down, height), columns(across, width);
  for (int64_t y = rows.first; y < rows.last && columns.first < columns.last; ++y) {
    const int64_t place = y * width + columns.first;
    visit(place, place + (down - 1) * width + across - 1, columns.last - columns.first);
  }
}

}  // namespace

at::Tensor unfold3x3(const at::Tensor& x) {
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3), pixels = height * width;
  const at::Tensor planes = x.contiguous(), columns = at::empty({channels * 9, pixels}, x.options(), at::MemoryFormat::Contiguous);
  const float* const from = planes.const_data_ptr<float>();
  float* const to = columns.mutable_data_ptr<float>();
  at::parallel_for(0, channels, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first * 9; row < last * 9; ++row) {
      const float* const plane = from + row / 9 * pixels;
      float* const column = to + row * pixels;
      std::fill_n(column, pixels, 0.0f);
      forEachStretch(row % 9, height, width,
                     [&](int64_t place, int64_t neighbour, int64_t count) { std::copy_n(plane + neighbour, count, column + place); });
    }
  });
  return columns;
}

at::Tensor fold3x3(const at::Tensor& columns, int64_t height, int64_t width) {
  const int64_t channels = columns.size(0) / 9, pixels = height * width;
  const at::Tensor in = columns.contiguous(), image = at::empty({1, channels, height, width}, columns.options(), at::MemoryFormat::Contiguous);
  const float* const from = in.const_data_ptr<float>();
  float* const to = image.mutable_data_ptr<float>();
  at::parallel_for(0, channels, 16, [&](int64_t first, int64_t last) {
    std::fill(to + first * pixels, to + last * pixels, 0.0f);
    for (int64_t row = first * 9; row < last * 9; ++row) {
      float* const plane = to + row / 9 * pixels;
      const float* const column = from + row * pixels;
      forEachStretch(row % 9, height, width, [&](int64_t place, int64_t neighbour, int64_t count) {
        for (int64_t i = 0; i < count; ++i) plane[neighbour + i] += column[place + i];
      });
    }
  });
  return image;
}

}  // namespace ld
