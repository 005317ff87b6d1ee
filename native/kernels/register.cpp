#include "kernels/register.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <mutex>

#include "kernels/rmsprop/rmsprop.h"

namespace ld {

void registerKernels() {
  // Not a static TORCH_LIBRARY: a second copy of the addon in one process would define the operators
  // twice, and libtorch aborts on that while the copy is loaded.
  static std::once_flag once;
  std::call_once(once, [] {
    if (c10::Dispatcher::singleton().findSchema({"landmark_diffusion::_fused_rmsprop_", ""})) return;
    // Leaked: its destructor would take the operators away while the executor may still run them.
    auto* library = new torch::Library(torch::Library::FRAGMENT, "landmark_diffusion", std::nullopt, __FILE__, __LINE__);
    library->def(kFusedRmspropSchema, &fusedRmsprop);
  });
}

}  // namespace ld
