// Exported functions about the process: versions, devices, memory, threads.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/version.h>

#include <atomic>

#include "kernels/conv2d/prepared.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/cpu_allocator.h"
#include "runtime/devices.h"
#include "runtime/executor.h"
#include "runtime/shared_tensors.h"

namespace ld {

namespace {

// The environment that tells V8 of the process's tensors.
std::atomic<const Environment*> reporter{nullptr};

c10::DeviceIndex gpus() { return static_cast<c10::DeviceIndex>(cudaDevices().count); }

Napi::Object deviceMemory(Napi::Env env, double bytes, double peakBytes, double cachedBytes) {
  auto result = Napi::Object::New(env);
  define(result, "bytes", bytes);
  define(result, "peakBytes", peakBytes);
  define(result, "cachedBytes", cachedBytes);
  return result;
}

}  // namespace

Napi::Value Environment::versions(const Info& info) {
  auto result = Napi::Object::New(info.Env());
  define(result, "libtorch", TORCH_VERSION);
  const DeviceCount devices = cudaDevices();
  define(result, "cuda", devices.count > 0);
  define(result, "cudaDevices", static_cast<double>(devices.count));
  define(result, "cudaProblem", devices.problem);
  define(result, "cpuCapability", at::get_cpu_capability());
  return result;
}

Napi::Value Environment::memory(const Info& info) {
  const Napi::Env env = info.Env();
  auto devices = Napi::Object::New(env);
  const CpuMemory cpu = cpuMemory();
  define(devices, "cpu", deviceMemory(env, cpu.live, cpu.peak, cpu.cached));
  for (c10::DeviceIndex i = 0; i < gpus(); ++i) {
    auto* allocator = c10::getDeviceAllocator(at::kCUDA);
    if (!allocator->initialized()) break;
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = allocator->getDeviceStats(i);
    const auto live = stats.allocated_bytes[kAll].current, reserved = stats.reserved_bytes[kAll].current;
    devices.Set("cuda:" + std::to_string(i), deviceMemory(env, live, stats.allocated_bytes[kAll].peak, reserved - live));
  }
  auto result = Napi::Object::New(env);
  define(result, "devices", devices);
  define(result, "preparedBytes", static_cast<double>(winograd::preparedBytes()));
  define(result, "reportedBytes", static_cast<double>(reportedBytes_));
  define(result, "shared", static_cast<double>(SharedTensors::instance().waiting()));
  define(result, "queued", static_cast<double>(session_->submitted.load() - session_->executed.load()));
  return result;
}

// Queued: what is freed before it in the program is freed before it in the cache too.
void Environment::trim(const Info&) {
  Executor::instance().submit(*session_, [](Session&) {
    trimCpuCache();
    if (gpus() > 0) c10::getDeviceAllocator(at::kCUDA)->emptyCache();
  });
}

// Queued, so that the peak is that of the ops that follow.
void Environment::resetPeakMemory(const Info&) {
  Executor::instance().submit(*session_, [](Session&) {
    resetCpuPeak();
    for (c10::DeviceIndex i = 0; i < gpus(); ++i) c10::getDeviceAllocator(at::kCUDA)->resetPeakStats(i);
  });
}

// V8 paces its collections by the memory that it is told of. A collection frees no tensor; so it is
// told what stays, not what a training step takes and gives back.
void Environment::reportMemory(Napi::Env env) {
  constexpr int64_t kStep = 8 << 20;
  const Environment* nobody = nullptr;
  if (!reporter.compare_exchange_strong(nobody, this) && nobody != this) return;
  const auto held = static_cast<int64_t>(cpuMemoryHeld());
  if (std::abs(held - reportedBytes_) < kStep) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, held - reportedBytes_);
  reportedBytes_ = held;
}

void Environment::stopReport() {
  const Environment* self = this;
  reporter.compare_exchange_strong(self, nullptr);
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
