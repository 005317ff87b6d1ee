#include "kernels/spatial_softmax_loss/vector.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <limits>

#include "kernels/lanes.h"

namespace ld::softmax_loss::CPU_CAPABILITY {

namespace {

template <bool Last, typename A, typename Count>
at::vec::Vectorized<A> perChannel(const A* values, int64_t row, int64_t i, Count count) {
  if constexpr (Last) return Lanes<A>::load(values + i, count);
  return at::vec::Vectorized<A>(values[row]);
}

}  // namespace

template <typename T, bool Last>
void parts(const T* x, int64_t rows, int64_t n, acc_t<T>* largest, acc_t<T>* exponentials, acc_t<T>* squares) {
  using A = acc_t<T>;
  using L = Lanes<T>;
  using Vec = typename L::Vec;
  constexpr A lowest = -std::numeric_limits<A>::infinity();
  // Kahan's sum: most pixels are so much smaller than the largest that a plain one would lose them.
  const auto add = [&](const Vec& v, const Vec& top, Vec& sum, Vec& lost, Vec& square) {
    const Vec term = (v - top).exp() - lost, next = sum + term;
    lost = (next - sum) - term;
    sum = next;
    const Vec d = v + Vec(1);
    square = at::vec::fmadd(d, d, square);
  };
  if constexpr (Last) {
    L::forEach(n, [&](int64_t i, auto count) {
      Vec top(lowest), sum(0), lost(0), square(0);
      for (int64_t row = 0; row < rows; ++row) top = at::vec::maximum(top, L::load(x + row * n + i, count));
      for (int64_t row = 0; row < rows; ++row) add(L::load(x + row * n + i, count), top, sum, lost, square);
      Lanes<A>::store(largest + i, top, count);
      Lanes<A>::store(exponentials + i, sum, count);
      Lanes<A>::store(squares + i, square, count);
    });
    return;
  }
  for (int64_t row = 0; row < rows; ++row, x += n) {
    const int64_t whole = n / L::size * L::size;
    Vec tops(lowest), sum(0), lost(0), square(0);
    for (int64_t i = 0; i < whole; i += L::size) tops = at::vec::maximum(tops, L::load(x + i));
    A each[L::size];
    tops.store(each);
    A top = lowest;
    // A NaN stays one, as it does in the vectors.
    const auto higher = [&top](A value) {
      if (value > top || value != value) top = value;
    };
    for (const A value : each) higher(value);
    for (int64_t i = whole; i < n; ++i) higher(static_cast<A>(x[i]));
    for (int64_t i = 0; i < whole; i += L::size) add(L::load(x + i), Vec(top), sum, lost, square);
    A total = L::sum(sum), squared = L::sum(square);
    for (int64_t i = whole; i < n; ++i) {
      const A value = static_cast<A>(x[i]);
      total += std::exp(value - top);
      squared += (value + 1) * (value + 1);
    }
    largest[row] = top;
    exponentials[row] = total;
    squares[row] = squared;
  }
}

template <typename T, bool Last>
void gradient(const T* x, T* dx, int64_t rows, int64_t n, const acc_t<T>* largest, const acc_t<T>* p, const acc_t<T>* q) {
  using L = Lanes<T>;
  using Vec = typename L::Vec;
  for (int64_t row = 0; row < rows; ++row, x += n, dx += n) {
    L::forEach(n, [&](int64_t i, auto count) {
      const Vec v = L::load(x + i, count);
      const Vec softmax = (v - perChannel<Last>(largest, row, i, count)).exp();
      const Vec squared = perChannel<Last>(q, row, i, count) * (v + Vec(1));
      L::store(dx + i, at::vec::fmadd(perChannel<Last>(p, row, i, count), softmax, squared), count);
    });
  }
}

#define LD_TYPE(T)                                                                                                 \
  template void parts<T, true>(const T*, int64_t, int64_t, acc_t<T>*, acc_t<T>*, acc_t<T>*);                       \
  template void parts<T, false>(const T*, int64_t, int64_t, acc_t<T>*, acc_t<T>*, acc_t<T>*);                      \
  template void gradient<T, true>(const T*, T*, int64_t, int64_t, const acc_t<T>*, const acc_t<T>*, const acc_t<T>*); \
  template void gradient<T, false>(const T*, T*, int64_t, int64_t, const acc_t<T>*, const acc_t<T>*, const acc_t<T>*);

LD_TYPE(float)
LD_TYPE(double)
LD_TYPE(c10::BFloat16)
LD_TYPE(c10::Half)

}  // namespace ld::softmax_loss::CPU_CAPABILITY
