#include "kernels/fused_adamw_ema/vector.h"

#include "kernels/lanes.h"

namespace ld::adamw::CPU_CAPABILITY {

template <typename T>
void update(T* p, const T* g, T* m, T* v, T* average, int64_t count, const Step<T>& step) {
  using L = Lanes<T>;
  using Vec = typename L::Vec;
  const Vec scale(step.gradScale), keep(step.keep), fresh1(1 - step.beta1), beta2(step.beta2), fresh2(1 - step.beta2);
  const Vec size(-step.size), root(step.root), eps(step.eps), emaWeight(step.emaWeight);
  L::forEach(count, [&](int64_t i, auto n) {
    const Vec gradient = L::load(g + i, n) * scale;
    const Vec before = L::load(m + i, n);
    const Vec first = at::vec::fmadd(fresh1, gradient - before, before);
    const Vec second = at::vec::fmadd(beta2, L::load(v + i, n), fresh2 * gradient * gradient);
    const Vec after = at::vec::fmadd(size, first / at::vec::fmadd(second.sqrt(), root, eps), L::load(p + i, n) * keep);
    L::store(m + i, first, n);
    L::store(v + i, second, n);
    L::store(p + i, after, n);
    if (average == nullptr) return;
    const Vec old = L::load(average + i, n);
    L::store(average + i, at::vec::fmadd(emaWeight, after - old, old), n);
  });
}

template void update<float>(float*, const float*, float*, float*, float*, int64_t, const Step<float>&);
template void update<double>(double*, const double*, double*, double*, double*, int64_t, const Step<double>&);

}  // namespace ld::adamw::CPU_CAPABILITY
