// The device code of augment, run on the host. Reads raw float32 arrays from standard input, in this order: images,
// lattice, rows, columns, then down, across and grey, factor, exponent, as far as they are given; writes the result.
#include "arrays.h"
#include "kernels/augment/arithmetic.h"

int main(int count, char** words) {
  using namespace ld::augmentation;
  if (count != 11) return 2;
  int numbers[10];
  for (int i = 0; i < 10; ++i) numbers[i] = std::atoi(words[i + 1]);
  const auto [images, channels, height, width, rows, columns, padding, hole, factor, exponent] = numbers;
  const auto floats = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const size_t pixels = floats(images, channels) * floats(height, width);
  const Array<float> source(pixels), result(pixels), lattice(floats(images, 2) * floats(rows, columns));
  const Array<float> rowWeights(floats(height, rows)), columnWeights(floats(columns, width));
  const Array<float> down(hole ? floats(images, height) : 0), across(hole ? floats(images, width) : 0);
  const Array<float> grey(hole ? floats(images, 1) : 0), factors(factor ? floats(images, 1) : 0), exponents(exponent ? floats(images, 1) : 0);
  for (const Array<float>* array : {&source, &lattice, &rowWeights, &columnWeights, &down, &across, &grey, &factors, &exponents}) {
    if (!array->read()) return 1;
  }
  const Augment augment{images, channels, height, width, rows, columns, source.data, lattice.data, rowWeights.data, columnWeights.data,
                        hole ? down.data : nullptr, hole ? across.data : nullptr, hole ? grey.data : nullptr,
                        factor ? factors.data : nullptr, exponent ? exponents.data : nullptr, static_cast<Padding>(padding), result.data};
  ld::runOnHost(augment, augment.grid());
  result.write();
  return 0;
}
