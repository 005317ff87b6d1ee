// Exported functions about the process: versions, devices, memory, threads.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "napi/environment.h"
#include "runtime/cpu_allocator.h"
#include "runtime/executor.h"

namespace ld {

Napi::Value Environment::versions(const Info& info) {
  auto result = Napi::Object::New(info.Env());
  result.Set("libtorch", TORCH_VERSION);
  result.Set("cuda", at::globalContext().hasCUDA());
  result.Set("cudaDevices", static_cast<double>(at::globalContext().hasCUDA() ? at::getNumGPUs() : 0));
  result.Set("cpuCapability", at::get_cpu_capability());
  return result;
}

Napi::Value Environment::memory(const Info& info) {
  const CpuMemory cpu = cpuMemory();
  auto result = Napi::Object::New(info.Env());
  result.Set("bytes", static_cast<double>(cpu.live));
  result.Set("peakBytes", static_cast<double>(cpu.peak));
  result.Set("cachedBytes", static_cast<double>(cpu.cached));
  result.Set("queued", static_cast<double>(session_->submitted.load() - session_->executed.load()));
  return result;
}

// Queued: what is freed before it in the program is freed before it in the cache too.
void Environment::trim(const Info&) {
  Executor::instance().submit(*session_, [](Session&) { trimCpuCache(); });
}

void Environment::setNumThreads(const Info& info) {
  const int threads = info[0].As<Napi::Number>().Int32Value();
  Executor::instance().submit(*session_, [=](Session&) { at::set_num_threads(threads); });
}

// A promise: the number belongs to the executor's thread.
Napi::Value Environment::getNumThreads(const Info& info) {
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [promise = promise](Session& session) {
    const int threads = at::get_num_threads();
    session.complete(Settle::make(promise, nullptr, [threads](Environment&, Napi::Env env) -> Napi::Value {
      return Napi::Number::New(env, threads);
    }));
  });
  return result;
}

}  // namespace ld
