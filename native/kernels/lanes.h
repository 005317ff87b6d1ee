// Loading and storing a vector's worth of elements of any float type, computing in float or double. Only for vector.cpp
// files: what at::vec is depends on the flags they are compiled with.
#pragma once

#include "kernels/accumulator.h"

#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <cstdint>

namespace ld {
inline namespace CPU_CAPABILITY {

template <typename T, typename A = acc_t<T>>
struct Lanes {
  using Vec = at::vec::Vectorized<A>;
  static constexpr int64_t size = Vec::size();

  static Vec load(const T* from) {
    if constexpr (std::is_same_v<T, A>) {
      return Vec::loadu(from);
    } else {
      A wide[size];
      for (int64_t i = 0; i < size; ++i) wide[i] = static_cast<A>(from[i]);
      return Vec::loadu(wide);
    }
  }

  static Vec load(const T* from, int64_t count) {
    if constexpr (std::is_same_v<T, A>) return Vec::loadu(from, count);
    A wide[size] = {};
    for (int64_t i = 0; i < count; ++i) wide[i] = static_cast<A>(from[i]);
    return Vec::loadu(wide);
  }

  static void store(T* to, const Vec& value) {
    if constexpr (std::is_same_v<T, A>) {
      value.store(to);
    } else {
      store(to, value, size);
    }
  }

  static void store(T* to, const Vec& value, int64_t count) {
    if constexpr (std::is_same_v<T, A>) {
      value.store(to, static_cast<int>(count));
      return;
    }
    A wide[size];
    value.store(wide);
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(wide[i]);
  }

  // Calls visit(first, count) for whole vectors, then once for what is left.
  template <typename Visit>
  static void forEach(int64_t n, Visit visit) {
    int64_t i = 0;
    for (; i + size <= n; i += size) visit(i, std::integral_constant<int64_t, size>());
    if (i < n) visit(i, n - i);
  }

  static Vec load(const T* from, std::integral_constant<int64_t, size>) { return load(from); }
  static void store(T* to, const Vec& value, std::integral_constant<int64_t, size>) { store(to, value); }

  static A sum(const Vec& value) {
    A each[size];
    value.store(each);
    A total = 0;
    for (int64_t i = 0; i < size; ++i) total += each[i];
    return total;
  }
};

}  // namespace CPU_CAPABILITY
}  // namespace ld
