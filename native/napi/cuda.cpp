// Exported functions about how GPUs compute: precision, choice of kernels. They are libtorch's own switches, for
// the whole process, and work in every build; without a GPU they change nothing.
#include <ATen/Context.h>
#include <ATen/SDPBackend.h>

#include <algorithm>

#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/executor.h"

namespace ld {

namespace {

struct Backend {
  const char* name;
  at::SDPBackend backend;
};

constexpr Backend kBackends[] = {{"math", at::SDPBackend::math},
                                 {"flash", at::SDPBackend::flash_attention},
                                 {"efficient", at::SDPBackend::efficient_attention},
                                 {"cudnn", at::SDPBackend::cudnn_attention}};

bool isEnabled(at::SDPBackend backend) {
  const auto& context = at::globalContext();
  switch (backend) {
    case at::SDPBackend::math:
      return context.userEnabledMathSDP();
    case at::SDPBackend::flash_attention:
      return context.userEnabledFlashSDP();
    case at::SDPBackend::efficient_attention:
      return context.userEnabledMemEfficientSDP();
    default:
      return context.userEnabledCuDNNSDP();
  }
}

// Those named, in their order; the others are switched off.
void chooseAttention(const std::vector<std::string>& names) {
  auto& context = at::globalContext();
  std::vector<int64_t> order;
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  for (const std::string& name : names) {
    for (const Backend& backend : kBackends) {
      if (name == backend.name) order.push_back(static_cast<int64_t>(backend.backend));
    }
  }
  for (const Backend& backend : kBackends) {
    if (!has(backend.name)) order.push_back(static_cast<int64_t>(backend.backend));
  }
  context.setSDPUseMath(has("math"));
  context.setSDPUseFlash(has("flash"));
  context.setSDPUseMemEfficient(has("efficient"));
  context.setSDPUseCuDNN(has("cudnn"));
  // libtorch knows a fifth, which this list leaves out: it takes orders of the length of its own.
  auto current = context.sDPPriorityOrder();
  for (const at::SDPBackend other : current) {
    const auto value = static_cast<int64_t>(other);
    if (std::find(order.begin(), order.end(), value) == order.end()) order.push_back(value);
  }
  context.setSDPPriorityOrder(order);
}

}  // namespace

// A promise of { tf32Convolutions, tf32Matmul, cudnnBenchmark, deterministic, attention }, behind what is queued.
Napi::Value Environment::cudaOptions(const Info& info) {
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [promise = promise](Session& session) {
    auto& context = at::globalContext();
    const bool convolutions = context.allowTF32CuDNN(), matmul = context.allowTF32CuBLAS();
    const bool benchmark = context.benchmarkCuDNN(), deterministic = context.deterministicCuDNN();
    std::vector<std::string> attention;
    for (const at::SDPBackend backend : context.sDPPriorityOrder()) {
      for (const Backend& known : kBackends) {
        if (known.backend == backend && isEnabled(backend)) attention.emplace_back(known.name);
      }
    }
    session.complete(Settle::make(promise, nullptr, [=](Environment&, Napi::Env env) -> Napi::Value {
      auto options = Napi::Object::New(env);
      define(options, "tf32Convolutions", convolutions);
      define(options, "tf32Matmul", matmul);
      define(options, "cudnnBenchmark", benchmark);
      define(options, "deterministic", deterministic);
      auto names = Napi::Array::New(env, attention.size());
      for (uint32_t i = 0; i < attention.size(); ++i) names.Set(i, attention[i]);
      define(options, "attention", names);
      return options;
    }));
  });
  return result;
}

// setCudaOptions({ ... }): those that are given, for the operators that follow.
void Environment::setCudaOptions(const Info& info) {
  const auto options = info[0].As<Napi::Object>();
  const auto flag = [&](const char* name) -> std::optional<bool> {
    const Napi::Value value = options.Get(name);
    return value.IsBoolean() ? std::optional(value.As<Napi::Boolean>().Value()) : std::nullopt;
  };
  const auto convolutions = flag("tf32Convolutions"), matmul = flag("tf32Matmul");
  const auto benchmark = flag("cudnnBenchmark"), deterministic = flag("deterministic");
  std::optional<std::vector<std::string>> attention;
  if (const Napi::Value list = options.Get("attention"); list.IsArray()) {
    const auto names = list.As<Napi::Array>();
    attention.emplace();
    for (uint32_t i = 0; i < names.Length(); ++i) attention->push_back(names.Get(i).ToString().Utf8Value());
  }
  Executor::instance().submit(*session_, [=](Session& session) {
    try {
      auto& context = at::globalContext();
      if (convolutions) context.setAllowTF32CuDNN(*convolutions);
      if (matmul) context.setAllowTF32CuBLAS(*matmul);
      if (benchmark) context.setBenchmarkCuDNN(*benchmark);
      if (deterministic) context.setDeterministicCuDNN(*deterministic);
      if (attention) chooseAttention(*attention);
    } catch (...) {
      session.unreported = currentFailure("cuda.setOptions", "", 0);
    }
  });
}

}  // namespace ld
