// The kernels of arithmetic.h in their order. `Run` starts one kernel: on a stream, or on the host in the tests.
#pragma once

#include "kernels/spatial_softmax_loss/arithmetic.h"

namespace ld::softmax_loss {

template <typename T>
struct Forward {
  Cut cut;
  const T* logits;
  const int64_t* target;
  const float* mask;
  Part* parts;     // [images, splits, channels]
  float* squares;  // [images, channels], working memory
  float* largest;
  float* exponentials;
  float* nll;
  float* mse;
};

template <typename T, typename Run>
void start(const Forward<T>& f, Run run) {
  const Parts<T> parts{f.cut, f.logits, f.parts};
  run(parts, parts.grid());
  const Join join{f.cut, f.parts, f.largest, f.exponentials, f.squares};
  run(join, join.grid());
  const Total<T> total{f.cut, f.logits, f.target, f.mask, f.largest, f.exponentials, f.squares, f.nll, f.mse};
  run(total, total.grid());
}

template <typename T>
struct Backward {
  Cut cut;  // with as many splits as pixels are worth
  const T* logits;
  T* dx;
  const int64_t* target;
  const float* mask;
  const float* largest;
  const float* exponentials;
  const float* dnll;
  const float* dmse;
  float* coefficients;  // [images, channels, 3], working memory
};

template <typename T, typename Run>
void start(const Backward<T>& b, Run run) {
  const Coefficients coefficients{b.cut, b.mask, b.exponentials, b.dnll, b.dmse, b.coefficients};
  run(coefficients, coefficients.grid());
  const Gradient<T> gradient{b.cut, b.logits, b.dx, b.target, b.largest, b.coefficients};
  run(gradient, gradient.grid());
}

}  // namespace ld::softmax_loss
