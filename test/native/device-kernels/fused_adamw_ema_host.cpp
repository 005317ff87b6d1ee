// The device code of fused_adamw_ema_, run on the host. Words: lr beta1 beta2 weight_decay eps ema_weight, then the
// number of elements of each parameter. Standard input: step and grad_scale, then of each parameter p, g, m, v and
// average, all float32. Standard output: of each parameter p, m, v, average.
#include <cmath>
#include <deque>

#include "arrays.h"
#include "kernels/fused_adamw_ema/arithmetic.h"

int main(int count, char** words) {
  using namespace ld::adamw;
  const auto real = [&](int i) { return std::atof(words[i]); };
  if (count < 7) return 2;
  const Array<float> scalars(2);
  if (!scalars.read()) return 1;
  const double lr = real(1), beta1 = real(2), beta2 = real(3), decay = real(4);
  const auto f = [](double value) { return static_cast<float>(value); };
  const Settings settings{f(1 - lr * decay), f(lr), f(beta1), f(beta2), f(real(5)), f(real(6)),
                          f(std::log(beta1)), f(std::log(beta2)), scalars.data + 1};
  std::deque<Array<float>> arrays;
  std::deque<Update> updates(1);
  updates.back().settings = settings;
  for (int i = 7; i < count; ++i) {
    const auto length = static_cast<size_t>(std::atoi(words[i]));
    float* data[5];
    for (float*& each : data) {
      if (!arrays.emplace_back(length).read()) return 1;
      each = arrays.back().data;
    }
    const Parameter parameter{data[0], data[1], data[2], data[3], data[4], scalars.data, static_cast<int64_t>(length)};
    if (updates.back().push(parameter)) continue;
    updates.emplace_back().settings = settings;
    updates.back().push(parameter);
  }
  for (const Update& update : updates) ld::runOnHost(update, update.grid());
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (i % 5 != 1) arrays[i].write();
  }
  return 0;
}
