// The device code of group_norm_silu, run on the host. Reads raw arrays from standard input and writes raw arrays
// to standard output, in this order: x, residual, dy, weight, bias (x, residual and dy in the element type, the
// rest float32) -> y, mean, rstd, dx, dweight, dbias, then sum, its mean and its rstd of x + residual + bias.
#include <string>

#include "arrays.h"
#include "kernels/group_norm_silu/steps.h"

namespace {

using namespace ld;
using namespace ld::group_norm_silu;

template <typename T, bool Silu>
bool run(int64_t images, int64_t pixels, int channels, int groups, int processors, float eps) {
  const Plan plan = ld::group_norm_silu::plan(images, pixels, channels, groups, sizeof(T), processors);
  const size_t size = static_cast<size_t>(images * pixels * channels), statistics = static_cast<size_t>(images * groups);
  const auto c = static_cast<size_t>(channels);
  const Array<T> x(size), residual(size), dy(size), y(size), dx(size), sum(size);
  const Array<float> weight(c), bias(c), dweight(c), dbias(c);
  const Array<float> mean(statistics), rstd(statistics), sumMean(statistics), sumRstd(statistics);
  const Array<float> partial(static_cast<size_t>(plan.partialFloats())), coefficients(static_cast<size_t>(plan.coefficientFloats()));
  if (!(x.read() && residual.read() && dy.read() && weight.read() && bias.read())) return false;
  const Affine affine{mean.data, rstd.data, weight.data, bias.data};
  start(Forward<T, Silu>{plan, x.data, y.data, affine, mean.data, rstd.data, partial.data, eps}, OnHost{});
  start(Backward<T, Silu>{plan, dy.data, x.data, dx.data, affine, dweight.data, dbias.data, partial.data, coefficients.data}, OnHost{});
  start(Residual<T>{plan, {x.data, residual.data, bias.data, sum.data}, sumMean.data, sumRstd.data, partial.data, eps}, OnHost{});
  y.write();
  mean.write();
  rstd.write();
  dx.write();
  dweight.write();
  dbias.write();
  sum.write();
  sumMean.write();
  sumRstd.write();
  return true;
}

}  // namespace

int main(int count, char** words) {
  if (count != 9) return 2;
  const auto number = [&](int i) { return std::atoi(words[i]); };
  const bool half = std::string(words[1]) == "bfloat16", silu = std::string(words[8]) == "silu";
  const auto call = half ? (silu ? run<BFloat16, true> : run<BFloat16, false>) : (silu ? run<float, true> : run<float, false>);
  const bool done = call(number(2), number(3), number(4), number(5), number(6), static_cast<float>(std::atof(words[7])));
  return done ? 0 : 1;
}
