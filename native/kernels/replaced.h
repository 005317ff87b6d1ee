// A kernel of ours in the place of one of libtorch's, which it calls after a check of its own.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <string>

namespace ld {

// Gives back libtorch's, to be called. name: without "aten::". Once a process for each.
template <c10::BoxedKernel::BoxedKernelFunction_withDispatchKeys* kernel>
c10::SafeKernelFunction* replaceKernel(const char* name, c10::DispatchKey key) {
  // The dispatcher warns of a kernel that takes the place of another.
  class Silent final : public c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };
  Silent silent;
  const c10::WarningUtils::WarningHandlerGuard guard(&silent);
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow((std::string("aten::") + name).c_str(), "");
  auto* const libtorchs = new c10::SafeKernelFunction(op.getComputedKernelForDispatchKey(key));
  // Leaked, as its destructor would put libtorch's kernel back while the executor may still run.
  auto* library = new torch::Library(torch::Library::IMPL, "aten", key, __FILE__, __LINE__);
  library->impl(name, torch::CppFunction::makeFromBoxedFunction<kernel>());
  return libtorchs;
}

}  // namespace ld
