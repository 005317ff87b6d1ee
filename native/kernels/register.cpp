#include "kernels/register.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <mutex>

#include "distributed/exchange.h"
#include "kernels/augment/augment.h"
#include "kernels/compressed_indices/compressed_indices.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/prepared.h"
#include "kernels/dropout/dropout.h"
#include "kernels/fused_adamw_ema/fused_adamw_ema.h"
#include "kernels/group_norm_silu/group_norm_silu.h"
#include "kernels/group_norm_silu/residual.h"
#include "kernels/mkldnn_zero/mkldnn_zero.h"
#include "kernels/rmsprop/rmsprop.h"
#include "kernels/rng_state/rng_state.h"
#include "kernels/spatial_softmax_loss/spatial_softmax_loss.h"
#include "kernels/total_norm/total_norm.h"
#include "kernels/upsample_conv2d/upsample_conv2d.h"
#include "runtime/cpu_allocator.h"
#ifdef LD_CUDA
#include "cuda/kernels.h"
#endif

namespace ld {

void registerKernels() {
  // Not a static TORCH_LIBRARY: a second copy of the addon in one process would define the operators
  // twice, and libtorch aborts on that while the copy is loaded.
  static std::once_flag once;
  std::call_once(once, [] {
    if (c10::Dispatcher::singleton().findSchema({"landmark_diffusion::_fused_rmsprop_", ""})) return;
    // Leaked: its destructor would take the operators away while the executor may still run them.
    auto* library = new torch::Library(torch::Library::FRAGMENT, "landmark_diffusion", std::nullopt, __FILE__, __LINE__);
    registerMkldnnZero();
    registerCompressedIndices();
    library->def(kFusedRmspropSchema, &fusedRmsprop);
    library->def(kTotalNormSchema, &totalNorm);
    // Kernels of their own, not composite: a program records the calls, and no pass may drop or move them.
    const auto own = c10::DispatchKey::CompositeExplicitAutograd;
    library->def(kGetRngStateSchema, {at::Tag::nondeterministic_seeded});
    library->impl("get_rng_state", torch::dispatch(own, &getRngState));
    library->def(kSetRngStateSchema, {at::Tag::nondeterministic_seeded});
    library->impl("set_rng_state", torch::dispatch(own, &setRngState));
    library->def(kBeginExchangeSchema);
    library->impl("begin_exchange", torch::dispatch(own, &beginExchange));
    registerGroupNorm(*library);
    registerConv2d(*library);
    registerDropout(*library);
    registerUpsampleConv2d(*library);
    onCpuTrim(&winograd::dropPrepared);
    registerSpatialSoftmaxLoss(*library);
    registerFusedAdamwEma(*library);
    registerAugment(*library);
    library->def(kResidualStatisticsSchema);
#ifdef LD_CUDA
    auto* cuda = new torch::Library(torch::Library::IMPL, "landmark_diffusion", c10::DispatchKey::CUDA, __FILE__, __LINE__);
    registerGroupNormSiluCuda(*cuda);
    registerSpatialSoftmaxLossCuda(*cuda);
    registerFusedAdamwEmaCuda(*cuda);
    registerAugmentCuda(*cuda);
#endif
  });
}

}  // namespace ld
