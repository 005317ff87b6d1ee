// Exported functions about random numbers. Seeding is queued, so it falls between the ops where
// the program wrote it.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "kernels/rng_state/rng_state.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/devices.h"
#include "runtime/executor.h"

namespace ld {

namespace {

// Id 0 is the default generator of the device.
at::Generator find(Session& session, uint32_t id, at::Device device = at::kCPU) {
  if (id == 0 && device.is_cpu()) return at::detail::getDefaultCPUGenerator();
  if (id == 0) return at::globalContext().defaultGenerator(device);
  const at::Generator* generator = session.table.generator(id);
  TORCH_CHECK(generator != nullptr, "the generator is gone");
  return *generator;
}

uint64_t seedFromJs(const Napi::Value& value) {
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

}  // namespace

// manualSeed(id, seed): a generator, or with id 0 the default ones of all devices.
void Environment::manualSeed(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const uint64_t seed = seedFromJs(info[1]);
  Executor::instance().submit(*session_, [=](Session& session) {
    try {
      if (id == 0 && cudaDevices().count > 0) {
        for (c10::DeviceIndex i = 0; i < static_cast<c10::DeviceIndex>(cudaDevices().count); ++i) {
          auto cuda = at::globalContext().defaultGenerator(at::Device(at::kCUDA, i));
          std::lock_guard lock(cuda.mutex());
          cuda.set_current_seed(seed);
        }
      }
      auto generator = find(session, id);
      std::lock_guard lock(generator.mutex());
      generator.set_current_seed(seed);
    } catch (...) {
      session.unreported = currentFailure("manualSeed", "", 0);
    }
  });
}

// createGenerator(id, device, seed)
void Environment::createGenerator(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const at::Device device = deviceFromJs(info[1]);
  const uint64_t seed = seedFromJs(info[2]);
  Executor::instance().submit(*session_, [=](Session& session) {
    try {
      at::Generator generator = device.is_cpu() ? at::make_generator<at::CPUGeneratorImpl>(seed)
                                                : at::globalContext().defaultGenerator(device).clone();
      generator.set_current_seed(seed);
      session.table.putGenerator(id, std::move(generator));
    } catch (...) {
      session.unreported = currentFailure("Generator", device.str(), 0);
    }
  });
}

// generatorState(id, device): a promise of the state's bytes, as PyTorch's get_state() gives them. The device
// counts where the id is 0.
Napi::Value Environment::generatorState(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const at::Device device = deviceFromJs(info[1]);
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [id, device, promise = promise](Session& session) {
    FailurePtr failure;
    at::Tensor state;
    try {
      auto generator = find(session, id, device);
      std::lock_guard lock(generator.mutex());
      state = generator.get_state();
    } catch (...) {
      failure = currentFailure("Generator.getState", "", 0);
    }
    session.complete(Settle::make(promise, std::move(failure), [state](Environment&, Napi::Env env) -> Napi::Value {
      auto bytes = Napi::Uint8Array::New(env, state.nbytes());
      std::memcpy(bytes.Data(), state.const_data_ptr(), state.nbytes());
      return bytes;
    }));
  });
  return result;
}

// setGeneratorState(id, bytes, device)
void Environment::setGeneratorState(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const auto bytes = info[1].As<Napi::Uint8Array>();
  at::Tensor state = at::empty({static_cast<int64_t>(bytes.ByteLength())}, at::kByte);
  std::memcpy(state.mutable_data_ptr(), bytes.Data(), bytes.ByteLength());
  const at::Device device = deviceFromJs(info[2]);
  Executor::instance().submit(*session_, [id, state, device](Session& session) {
    try {
      auto generator = find(session, id, device);
      std::lock_guard lock(generator.mutex());
      generator.set_state(state);
    } catch (...) {
      session.unreported = currentFailure("Generator.setState", brief(state), 0);
    }
  });
}

// readRngState(id): the state of the CPU's default generator, as of the ops queued so far, as a tensor.
void Environment::readRngState(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [id](Session& session) {
    session.table.put(id, callGetRngState());
  });
}

// writeRngState(id): the reverse.
void Environment::writeRngState(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [id](Session& session) {
    const auto& state = session.table.at(id).tensor;
    if (state.defined()) callSetRngState(state);
  });
}

}  // namespace ld
