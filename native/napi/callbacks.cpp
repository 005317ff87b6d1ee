// Exported functions that put JavaScript functions into the graph, and the JavaScript side of a callback
// (runtime/callback.h tells how the two threads meet).
#include <algorithm>

#include "autograd/checkpoint.h"
#include "autograd/function.h"
#include "autograd/hooks.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/executor.h"

namespace ld {

namespace {

using Ids = std::vector<int64_t>;

// Tensors of the table; what one of them failed of is thrown.
std::vector<at::Tensor> tensorsOf(Session& session, const Ids& ids) {
  std::vector<at::Tensor> tensors;
  for (const int64_t id : ids) {
    const auto& slot = session.table.at(static_cast<uint32_t>(id));
    if (slot.failure) throw CallbackError(slot.failure);
    TORCH_CHECK(slot.tensor.defined(), "a tensor holds nothing: it is a gradient that no backward() reached, or was "
                                       "queued behind the backward() that runs now");
    tensors.push_back(slot.tensor);
  }
  return tensors;
}

// Runs `work` and names its tensors; a failure poisons the results.
template <typename Work>
void giveResults(Session& session, const char* op, const Ids& results, Work work) {
  if (session.closing.load()) return;
  try {
    const std::vector<at::Tensor> tensors = work();
    for (size_t i = 0; i < results.size(); ++i) session.table.put(static_cast<uint32_t>(results[i]), tensors.at(i));
  } catch (...) {
    session.unreported = currentFailure(op, "", 0);
    for (const int64_t id : results) session.table.poison(static_cast<uint32_t>(id), session.unreported);
  }
}

// What JavaScript holds of a hook.
struct HookPlace {
  uint32_t function = 0;
  std::weak_ptr<Hooks> hooks;  // executor thread only
};
using HookPlacePtr = std::shared_ptr<HookPlace>;

template <typename T>
Napi::External<T> own(Napi::Env env, T value) {
  return Napi::External<T>::New(env, new T(std::move(value)), [](Napi::BasicEnv, T* held) { delete held; });
}

}  // namespace

// registerHook(tensor, function): what removeHook() takes.
Napi::Value Environment::registerHook(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const auto place = std::make_shared<HookPlace>();
  place->function = info[1].As<Napi::Number>().Uint32Value();
  auto callback = std::make_shared<Callback>(session_, place->function);
  Executor::instance().submit(*session_, [id, place, callback](Session& session) {
    const auto& slot = session.table.at(id);
    if (session.closing.load() || slot.failure) return;
    try {
      TORCH_CHECK(slot.tensor.defined(), "the tensor holds nothing");
      place->hooks = addHook(slot.tensor, place->function, callback);
    } catch (...) {
      session.unreported = currentFailure("registerHook", brief(slot.tensor), 0);
    }
  });
  return own<HookPlacePtr>(info.Env(), place);
}

// removeHook(place): queued, so a backward pass before it still calls the hook.
void Environment::removeHook(const Info& info) {
  const HookPlacePtr place = *info[0].As<Napi::External<HookPlacePtr>>().Data();
  Executor::instance().submit(*session_, [place](Session&) {
    if (const auto hooks = place->hooks.lock()) hooks->erase(place->function);
  });
}

// attachFunction(name, function, inputs, outputs, results, saved, notDifferentiable, dirty, materialize)
void Environment::attachFunction(const Info& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  auto backward = std::make_shared<Callback>(session_, info[1].As<Napi::Number>().Uint32Value());
  const Ids inputs = intsFromJs(info[2]), outputs = intsFromJs(info[3]), results = intsFromJs(info[4]);
  const Ids saved = intsFromJs(info[5]), notDifferentiable = intsFromJs(info[6]), dirty = intsFromJs(info[7]);
  const bool materialize = info[8].As<Napi::Boolean>().Value();
  Executor::instance().submit(*session_, [=](Session& session) {
    giveResults(session, "autograd.Function", results, [&] {
      return attach({.name = name,
                     .backward = backward,
                     .inputs = tensorsOf(session, inputs),
                     .outputs = tensorsOf(session, outputs),
                     .saved = tensorsOf(session, saved),
                     .notDifferentiable = tensorsOf(session, notDifferentiable),
                     .dirty = tensorsOf(session, dirty),
                     .materialize = materialize});
    });
  });
}

// beginSegment(): where a segment begins, for endSegment().
Napi::Value Environment::beginSegment(const Info& info) {
  const auto begin = std::make_shared<uint64_t>(0);
  Executor::instance().submit(*session_, [begin](Session&) { *begin = ld::beginSegment(); });
  return own<std::shared_ptr<uint64_t>>(info.Env(), begin);
}

// endSegment(begin, function, outputs, results)
void Environment::endSegment(const Info& info) {
  const auto begin = *info[0].As<Napi::External<std::shared_ptr<uint64_t>>>().Data();
  auto recompute = std::make_shared<Callback>(session_, info[1].As<Napi::Number>().Uint32Value());
  const Ids outputs = intsFromJs(info[2]), results = intsFromJs(info[3]);
  Executor::instance().submit(*session_, [=](Session& session) {
    giveResults(session, "checkpoint", results,
                [&] { return ld::endSegment(*begin, tensorsOf(session, outputs), recompute); });
  });
}

// alias(id, other): a second name for the same tensor.
void Environment::alias(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value(), other = info[1].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [id, other](Session& session) {
    const auto slot = session.table.at(id);
    if (slot.failure) {
      session.table.poison(other, slot.failure);
    } else {
      session.table.put(other, slot.tensor);
    }
  });
}

// reply(ids): the results of the callback that runs, 0 for none. Before the frees of what it made.
void Environment::reply(const Info& info) {
  if (!running_) return;
  const Ids ids = intsFromJs(info[0]);
  Executor::instance().submit(*session_, [request = running_, ids](Session& session) {
    for (const int64_t id : ids) {
      const auto& slot = session.table.at(static_cast<uint32_t>(id));
      if (slot.failure) request->failure = slot.failure;
      request->results.push_back(id == 0 ? at::Tensor() : slot.tensor);
    }
  });
}

void Environment::runCallback(Napi::Env env, const std::shared_ptr<CallbackRequest>& request) {
  const Napi::HandleScope scope(env);
  // From here to the end nothing goes to the ring that lies behind the pass.
  Ring* const outer = std::exchange(session_->written, request->ring);
  const auto above = std::exchange(running_, request);
  const uint64_t key = nextKey_++;
  FailurePtr failure;
  Ids frees;
  try {
    auto infos = Napi::Array::New(env, request->arguments.size());
    for (uint32_t i = 0; i < request->arguments.size(); ++i) infos.Set(i, infoToJs(env, describe(request->arguments[i])));
    auto flags = Napi::Array::New(env, request->flags.size());
    for (uint32_t i = 0; i < request->flags.size(); ++i) flags.Set(i, static_cast<bool>(request->flags[i]));
    adoptions_.emplace(key, request->arguments);
    const auto end = runCallback_.Value().Call(
        {Napi::Number::New(env, request->function), Napi::Number::New(env, static_cast<double>(key)), infos, flags,
         Napi::Boolean::New(env, request->grad), Napi::Number::New(env, request->pass)}).As<Napi::Object>();
    frees = intsFromJs(end.Get("frees"));
    if (end.Get("message").IsString()) {
      auto thrown = std::make_shared<Failure>();
      thrown->op = "callback";
      thrown->message = end.Get("message").As<Napi::String>().Utf8Value();
      thrown->cause = end.Get("cause").As<Napi::Number>().Uint32Value();
      failure = std::move(thrown);
    }
  } catch (const Napi::Error&) {
    // Not the function's error, which comes as a value: the thread is being terminated.
    auto ended = std::make_shared<Failure>();
    ended->op = "callback";
    ended->message = "the environment ended during a callback";
    failure = std::move(ended);
  }
  adoptions_.erase(key);
  // Last in its ring: when the executor meets it, all that the function queued has run.
  Executor::instance().submit(*session_, [request, failure](Session&) {
    if (failure) request->failure = failure;
    request->arguments.clear();
    request->done = true;
  });
  running_ = above;
  session_->written = outer;
  if (frees.empty()) return;
  Executor::instance().submit(*session_, [frees](Session& session) {
    for (const int64_t id : frees) session.table.drop(static_cast<uint32_t>(id));
  });
}

// Blocks until the executor has called settle(), and runs the callbacks that it needs before.
void Environment::waitFor(Napi::Env env, const bool& settled) {
  std::shared_ptr<CallbackRequest> request;
  while (!session_->waitFor(settled, request)) {
    if (request) {
      runCallback(env, request);
    } else {
      abandonIfTerminated(env);
    }
  }
}

// The end of a thread waits for the native call that it is in, and the end of the process for its threads. Node does not
// tell them, but refuses whatever may run JavaScript.
void Environment::abandonIfTerminated(Napi::Env env) {
  const Napi::HandleScope scope(env);
  const napi_value object = Napi::Object::New(env);
  if (napi_set_named_property(env, object, "alive", object) != napi_ok) Executor::instance().abandon(*session_);
}

// This thread stands in a native call that waits for room in the ring, and the op that it wants to queue
// may still lie in the scratch memory, which the callback uses for its own.
void Environment::serveBlocked(Napi::Env env) {
  const auto request = session_->takeRequest();
  if (!request) return abandonIfTerminated(env);
  const auto scratch = *scratch_;
  const auto numbers = *numbers_;
  runCallback(env, request);
  std::copy(scratch.begin(), scratch.end(), scratch_->begin());
  std::copy(numbers.begin(), numbers.end(), numbers_->begin());
}

}  // namespace ld
