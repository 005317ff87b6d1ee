#include "kernels/group_norm_silu/vector.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include "kernels/lanes.h"

namespace ld::group_norm::CPU_CAPABILITY {

namespace {

template <typename T>
using L = Lanes<T>;
template <typename T>
using V = typename L<T>::Vec;

template <typename Vec>
Vec sigmoid(const Vec& v) {
  return Vec(1) / (Vec(1) + v.neg().exp_u20());
}

// f'(v) dy
template <bool Silu, typename Vec>
Vec before(const Vec& dy, const Vec& v) {
  if constexpr (!Silu) return dy;
  const Vec s = sigmoid(v);
  return dy * at::vec::fmadd(v * s, Vec(1) - s, s);
}

// One value per element for channels in the innermost dimension, else one for the whole row.
template <bool Last, typename A, typename Count>
at::vec::Vectorized<A> coefficient(const A* values, int64_t row, int64_t i, Count count) {
  if constexpr (Last) return Lanes<A, A>::load(values + i, count);
  return at::vec::Vectorized<A>(values[row]);
}

// Sums of term(values, first channel, count) for each of n channels over `rows` pixels.
template <typename T, typename Term>
void overPixels(const T* x, int64_t rows, int64_t n, acc_t<T>* sums, Term term) {
  using A = acc_t<T>;
  L<T>::forEach(n, [&](int64_t i, auto count) {
    V<T> even(0), odd(0);
    const auto at = [&](int64_t row) { return term(L<T>::load(x + row * n + i, count), i, count); };
    int64_t row = 0;
    for (; row + 1 < rows; row += 2) {
      even = even + at(row);
      odd = odd + at(row + 1);
    }
    if (row < rows) even = even + at(row);
    Lanes<A, A>::store(sums + i, even + odd, count);
  });
}

}  // namespace

template <typename T>
void moments(const T* x, int64_t count, acc_t<T>* mean, acc_t<T>* squares) {
  using A = acc_t<T>;
  V<T> sum(0);
  L<T>::forEach(count, [&](int64_t i, auto n) { sum = sum + L<T>::load(x + i, n); });
  const A center = L<T>::sum(sum) / static_cast<A>(count);
  V<T> square(0);
  const V<T> shift(center);
  const int64_t whole = count / L<T>::size * L<T>::size;
  L<T>::forEach(whole, [&](int64_t i, auto n) {
    const V<T> d = L<T>::load(x + i, n) - shift;
    square = at::vec::fmadd(d, d, square);
  });
  A total = L<T>::sum(square);
  for (int64_t i = whole; i < count; ++i) {
    const A d = static_cast<A>(x[i]) - center;
    total += d * d;
  }
  *mean = center;
  *squares = total;
}

template <typename T>
void channelSums(const T* x, int64_t rows, int64_t n, acc_t<T>* sums) {
  overPixels(x, rows, n, sums, [](const V<T>& v, int64_t, auto) { return v; });
}

template <typename T>
void channelSquares(const T* x, int64_t rows, int64_t n, const acc_t<T>* center, acc_t<T>* squares) {
  using A = acc_t<T>;
  overPixels(x, rows, n, squares, [&](const V<T>& v, int64_t i, auto count) {
    const V<T> d = v - Lanes<A, A>::load(center + i, count);
    return d * d;
  });
}

template <typename T, bool Last, bool Silu>
void apply(const T* x, T* y, int64_t yStride, int64_t rows, int64_t n, const Forward<acc_t<T>>& c) {
  for (int64_t row = 0; row < rows; ++row, x += n, y += yStride) {
    L<T>::forEach(n, [&](int64_t i, auto count) {
      const V<T> d = L<T>::load(x + i, count) - coefficient<Last>(c.center, row, i, count);
      const V<T> v = at::vec::fmadd(d, coefficient<Last>(c.a, row, i, count), coefficient<Last>(c.b, row, i, count));
      L<T>::store(y + i, Silu ? v * sigmoid(v) : v, count);
    });
  }
}

template <typename T, bool Last, bool Silu>
void sums(const T* dy, int64_t yStride, const T* x, int64_t rows, int64_t n, const Backward<acc_t<T>>& c, acc_t<T>* dv,
          acc_t<T>* dvx) {
  using A = acc_t<T>;
  const auto add = [&](int64_t row, int64_t i, auto count, V<T>& sum, V<T>& product) {
    const V<T> d = L<T>::load(x + row * n + i, count) - coefficient<Last>(c.center, row, i, count);
    const V<T> v = at::vec::fmadd(d, coefficient<Last>(c.a, row, i, count), coefficient<Last>(c.b, row, i, count));
    const V<T> g = before<Silu>(L<T>::load(dy + row * yStride + i, count), v);
    sum = sum + g;
    product = at::vec::fmadd(g, d * coefficient<Last>(c.r, row, i, count), product);
  };
  if constexpr (Last) {
    L<T>::forEach(n, [&](int64_t i, auto count) {
      V<T> sum = Lanes<A, A>::load(dv + i, count), product = Lanes<A, A>::load(dvx + i, count);
      for (int64_t row = 0; row < rows; ++row) add(row, i, count, sum, product);
      Lanes<A, A>::store(dv + i, sum, count);
      Lanes<A, A>::store(dvx + i, product, count);
    });
  } else {
    for (int64_t row = 0; row < rows; ++row) {
      V<T> sum(0), product(0);
      // Elements past the end are read as 0: their gradient is 0, so that they add nothing.
      L<T>::forEach(n, [&](int64_t i, auto count) { add(row, i, count, sum, product); });
      dv[row] += L<T>::sum(sum);
      dvx[row] += L<T>::sum(product);
    }
  }
}

template <typename T, bool Last, bool Silu>
void gradient(const T* dy, int64_t yStride, const T* x, T* dx, int64_t rows, int64_t n, const Backward<acc_t<T>>& c) {
  for (int64_t row = 0; row < rows; ++row, dy += yStride, x += n, dx += n) {
    L<T>::forEach(n, [&](int64_t i, auto count) {
      const V<T> d = L<T>::load(x + i, count) - coefficient<Last>(c.center, row, i, count);
      const V<T> v = at::vec::fmadd(d, coefficient<Last>(c.a, row, i, count), coefficient<Last>(c.b, row, i, count));
      const V<T> g = before<Silu>(L<T>::load(dy + i, count), v);
      const V<T> rest = at::vec::fmadd(d, coefficient<Last>(c.q, row, i, count), coefficient<Last>(c.k, row, i, count));
      L<T>::store(dx + i, at::vec::fmadd(g, coefficient<Last>(c.p, row, i, count), rest), count);
    });
  }
}

#define LD_LAYOUT(T, Last, Silu)                                                                                                   \
  template void apply<T, Last, Silu>(const T*, T*, int64_t, int64_t, int64_t, const Forward<acc_t<T>>&);                           \
  template void sums<T, Last, Silu>(const T*, int64_t, const T*, int64_t, int64_t, const Backward<acc_t<T>>&, acc_t<T>*, acc_t<T>*); \
  template void gradient<T, Last, Silu>(const T*, int64_t, const T*, T*, int64_t, int64_t, const Backward<acc_t<T>>&);

#define LD_TYPE(T)                                                                        \
  template void moments<T>(const T*, int64_t, acc_t<T>*, acc_t<T>*);                      \
  template void channelSums<T>(const T*, int64_t, int64_t, acc_t<T>*);                    \
  template void channelSquares<T>(const T*, int64_t, int64_t, const acc_t<T>*, acc_t<T>*); \
  LD_LAYOUT(T, true, true)                                                                \
  LD_LAYOUT(T, true, false)                                                               \
  LD_LAYOUT(T, false, true)                                                               \
  LD_LAYOUT(T, false, false)

LD_TYPE(float)
LD_TYPE(double)
LD_TYPE(c10::BFloat16)
LD_TYPE(c10::Half)

}  // namespace ld::group_norm::CPU_CAPABILITY
