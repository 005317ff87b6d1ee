// What a float type is computed in: float for float and the 16-bit types, double for double.
#pragma once

namespace ld {

template <typename T>
struct Accumulator {
  using type = float;
};
template <>
struct Accumulator<double> {
  using type = double;
};
template <typename T>
using acc_t = typename Accumulator<T>::type;

}  // namespace ld
