#include "kernels/rng_state/rng_state.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <mutex>

namespace ld {

at::Tensor getRngState() {
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void setRngState(const at::Tensor& state) {
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

at::Tensor callGetRngState() {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("landmark_diffusion::get_rng_state", "")
                             .typed<at::Tensor()>();
  return op.call();
}

void callSetRngState(const at::Tensor& state) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("landmark_diffusion::set_rng_state", "")
                             .typed<void(const at::Tensor&)>();
  op.call(state);
}

}  // namespace ld
