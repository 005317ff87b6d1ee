#include "dispatch/guards/layouts.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>

#include <string>
#include <unordered_set>

namespace ld::guards {

namespace {

constexpr auto kComposed = c10::DispatchKey::CompositeExplicitAutogradNonFunctional;

void refuse(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack*) {
  TORCH_CHECK(false, "refused, because libtorch does not check it: ", op.schema().name(), " has no kernel for ", keys.highestPriorityTypeId(),
              " tensors; take to_dense() or dequantize()");
}

// `add` of `add_`
std::string outOfPlace(std::string name) {
  if (name.ends_with('_')) name.pop_back();
  return name;
}

}  // namespace

void refuseForeignLayouts() {
  auto& dispatcher = c10::Dispatcher::singleton();
  const auto composed = dispatcher.getRegistrationsForDispatchKey(kComposed);
  for (const auto key : {c10::DispatchKey::SparseCsrCPU, c10::DispatchKey::QuantizedCPU, c10::DispatchKey::MkldnnCPU}) {
    // Of any overload: the kernel that writes to out= serves the others.
    std::unordered_set<std::string> known;
    for (const auto& name : dispatcher.getRegistrationsForDispatchKey(key)) known.insert(outOfPlace(name.name));
    for (const auto& name : composed) {
      if (known.contains(outOfPlace(name.name))) continue;
      const auto op = dispatcher.findOp(name);
      // Those without a kernel for the CPU are made of others.
      if (!op || !op->hasKernelForDispatchKey(c10::DispatchKey::CPU) || !op->hasKernelForDispatchKey(c10::DispatchKey::Meta)) continue;
      // Never given back: tensors may outlive every static.
      new c10::RegistrationHandleRAII(dispatcher.registerImpl(name, key, c10::KernelFunction::makeFromBoxedFunction<&refuse>(), {}, nullptr, "landmark-diffusion"));
    }
  }
}

}  // namespace ld::guards
