#include "napi/environment.h"

#include "napi/convert.h"
#include "runtime/executor.h"
#include "runtime/lifetime.h"
#include "runtime/record.h"
#include "runtime/shared_tensors.h"

namespace ld {

namespace {

constexpr size_t kScratchWords = 1u << 20;
constexpr size_t kScratchNumbers = 1u << 12;

// The scratch memory is owned natively and shared with JavaScript; the array buffer's finalizer
// drops one reference, so neither side can outlive it.
template <typename T>
Napi::ArrayBuffer expose(Napi::Env env, const std::shared_ptr<std::vector<T>>& memory) {
  auto* reference = new std::shared_ptr<std::vector<T>>(memory);
  return Napi::ArrayBuffer::New(
      env, memory->data(), memory->size() * sizeof(T),
      [](Napi::BasicEnv, void*, std::shared_ptr<std::vector<T>>* held) { delete held; }, reference);
}

napi_value enqueueHot(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  try {
    return static_cast<Environment*>(data)->enqueue(env);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

}  // namespace

Environment::Environment(Napi::Env env, Napi::Object exports)
    : scratch_(std::make_shared<std::vector<uint32_t>>(kScratchWords)),
      numbers_(std::make_shared<std::vector<double>>(kScratchNumbers)) {
  startProcess();
  DefineAddon(exports, {
                           InstanceMethod("start", &Environment::start),
                           InstanceMethod("operators", &Environment::operators),
                           InstanceMethod("schema", &Environment::schema),
                           InstanceMethod("createSite", &Environment::createSite),
                           InstanceMethod("releaseSite", &Environment::releaseSite),
                           InstanceMethod("runSync", &Environment::runSync),
                           InstanceMethod("runAsync", &Environment::runAsync),
                           InstanceMethod("adopt", &Environment::adopt),
                           InstanceMethod("fromData", &Environment::fromData),
                           InstanceMethod("read", &Environment::read),
                           InstanceMethod("item", &Environment::item),
                           InstanceMethod("openReading", &Environment::openReading),
                           InstanceMethod("addToReading", &Environment::addToReading),
                           InstanceMethod("closeReading", &Environment::closeReading),
                           InstanceMethod("free", &Environment::free),
                           InstanceMethod("synchronize", &Environment::synchronize),
                           InstanceMethod("catchUp", &Environment::catchUp),
                           InstanceMethod("fence", &Environment::fence),
                           InstanceMethod("share", &Environment::share),
                           InstanceMethod("receive", &Environment::receive),
                           InstanceMethod("withdraw", &Environment::withdraw),
                           InstanceMethod("backward", &Environment::backward),
                           InstanceMethod("grad", &Environment::grad),
                           InstanceMethod("getGrad", &Environment::getGrad),
                           InstanceMethod("setGrad", &Environment::setGrad),
                           InstanceMethod("retainGrad", &Environment::retainGrad),
                           InstanceMethod("gradientGraph", &Environment::gradientGraph),
                           InstanceMethod("registerHook", &Environment::registerHook),
                           InstanceMethod("removeHook", &Environment::removeHook),
                           InstanceMethod("attachFunction", &Environment::attachFunction),
                           InstanceMethod("beginSegment", &Environment::beginSegment),
                           InstanceMethod("endSegment", &Environment::endSegment),
                           InstanceMethod("alias", &Environment::alias),
                           InstanceMethod("reply", &Environment::reply),
                           InstanceMethod("beginProgram", &Environment::beginProgram),
                           InstanceMethod("endProgram", &Environment::endProgram),
                           InstanceMethod("hasGradients", &Environment::hasGradients),
                           InstanceMethod("abandonProgram", &Environment::abandonProgram),
                           InstanceMethod("replay", &Environment::replay),
                           InstanceMethod("openCalls", &Environment::openCalls),
                           InstanceMethod("cancelCalls", &Environment::cancelCalls),
                           InstanceMethod("programTraces", &Environment::programTraces),
                           InstanceMethod("programText", &Environment::programText),
                           InstanceMethod("programStats", &Environment::programStats),
                           InstanceMethod("programPasses", &Environment::programPasses),
                           InstanceMethod("disposeProgram", &Environment::disposeProgram),
                           InstanceMethod("joinGroup", &Environment::joinGroup),
                           InstanceMethod("leaveGroup", &Environment::leaveGroup),
                           InstanceMethod("startCollective", &Environment::startCollective),
                           InstanceMethod("endCollective", &Environment::endCollective),
                           InstanceMethod("createReducer", &Environment::createReducer),
                           InstanceMethod("prepareReducer", &Environment::prepareReducer),
                           InstanceMethod("finishReducer", &Environment::finishReducer),
                           InstanceMethod("releaseReducer", &Environment::releaseReducer),
                           InstanceMethod("manualSeed", &Environment::manualSeed),
                           InstanceMethod("createGenerator", &Environment::createGenerator),
                           InstanceMethod("generatorState", &Environment::generatorState),
                           InstanceMethod("setGeneratorState", &Environment::setGeneratorState),
                           InstanceMethod("readRngState", &Environment::readRngState),
                           InstanceMethod("writeRngState", &Environment::writeRngState),
                           InstanceMethod("versions", &Environment::versions),
                           InstanceMethod("memory", &Environment::memory),
                           InstanceMethod("trim", &Environment::trim),
                           InstanceMethod("resetPeakMemory", &Environment::resetPeakMemory),
                           InstanceMethod("setNumThreads", &Environment::setNumThreads),
                           InstanceMethod("getNumThreads", &Environment::getNumThreads),
                           InstanceMethod("cudaOptions", &Environment::cudaOptions),
                           InstanceMethod("setCudaOptions", &Environment::setCudaOptions),
                       });
  napi_value hot = nullptr;
  NAPI_THROW_IF_FAILED_VOID(env, napi_create_function(env, "enqueue", NAPI_AUTO_LENGTH, &enqueueHot, this, &hot));
  exports.Set("enqueue", Napi::Value(env, hot));
  exports.Set("words", expose(env, scratch_));
  exports.Set("numbers", expose(env, numbers_));
}

// start(makeError, runCallback, releaseCallbacks): opens the session.
// `makeError(kind, op, inputs, message, trace, cause)` builds the error that a failure becomes in JavaScript.
// `runCallback(function, key, infos, flags, grad, pass)` runs a callback on the tensors under `key`, and
// returns { message, cause, frees }; `releaseCallbacks(functions)` names those that nothing calls any more.
void Environment::start(const Info& info) {
  const Napi::Env env = info.Env();
  makeError_ = Napi::Persistent(info[0].As<Napi::Function>());
  runCallback_ = Napi::Persistent(info[1].As<Napi::Function>());
  releaseCallbacks_ = Napi::Persistent(info[2].As<Napi::Function>());
  napi_value name = Napi::String::New(env, "landmark-diffusion");
  const napi_status status = napi_create_threadsafe_function(
      env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
      [](napi_env raw, napi_value, void* context, void*) {
        if (raw == nullptr) return;
        try {
          static_cast<Environment*>(context)->deliver(raw);
        } catch (const Napi::Error&) {
          // Thrown while the thread is being terminated: no JavaScript runs any more, so nobody waits.
        }
      },
      &wakeUp_);
  NAPI_THROW_IF_FAILED_VOID(env, status);
  // Alive only while a promise is open, so that a finished script ends.
  napi_unref_threadsafe_function(env, wakeUp_);
  session_->notify = [wakeUp = wakeUp_] { napi_call_threadsafe_function(wakeUp, nullptr, napi_tsfn_nonblocking); };
  session_->serve = [this, raw = static_cast<napi_env>(env)] { serveBlocked(raw); };
  Executor::instance().open(session_);
  // In the hook, not in a destructor: a thread-safe function that is still held keeps a worker's
  // teardown waiting before any destructor runs.
  napi_add_env_cleanup_hook(env, [](void* self) { static_cast<Environment*>(self)->stop(); }, this);
}

void Environment::stop() {
  Executor::instance().close(*session_);
  SharedTensors::instance().ownerEnds(*session_);
  // A graph that another environment still holds may name callbacks of this one.
  session_->mute();
  napi_release_threadsafe_function(wakeUp_, napi_tsfn_abort);
  promises_.clear();
  adoptions_.clear();
  stopReport();
}

Environment::Promise Environment::openPromise(Napi::Env env) {
  const uint64_t id = nextKey_++;
  auto deferred = Napi::Promise::Deferred::New(env);
  // ref and unref set a flag and do not count, so the count is ours.
  if (promises_.empty()) napi_ref_threadsafe_function(env, wakeUp_);
  const auto promise = deferred.Promise();
  promises_.emplace(id, std::move(deferred));
  return {id, promise};
}

void Environment::deliver(Napi::Env env) {
  Napi::HandleScope all(env);
  for (auto& completion : session_->takeCompletions()) {
    Napi::HandleScope one(env);
    auto& settle = static_cast<Settle&>(*completion);
    const auto found = promises_.find(settle.promise);
    if (found == promises_.end()) continue;
    const auto deferred = found->second;
    promises_.erase(found);
    try {
      if (settle.failure) {
        deferred.Reject(failureToJs(env, *settle.failure));
      } else {
        deferred.Resolve(settle.value(*this, env));
      }
    } catch (const Napi::Error& error) {
      deferred.Reject(error.Value());
    } catch (...) {
      deferred.Reject(failureToJs(env, *currentFailure("deliver", "", 0)));
    }
  }
  if (promises_.empty()) napi_unref_threadsafe_function(env, wakeUp_);
  reportMemory(env);
  if (const auto released = session_->takeReleased(); !released.empty()) {
    releaseCallbacks_.Call({intsToJs(env, std::vector<int64_t>(released.begin(), released.end()))});
  }
  if (const auto request = session_->takeRequest()) runCallback(env, request);
}

Napi::Value Environment::failureToJs(Napi::Env env, const Failure& failure) {
  const char* kind = failure.kind == Failure::Kind::OutOfMemory   ? "memory"
                     : failure.kind == Failure::Kind::Device      ? "device"
                     : failure.kind == Failure::Kind::Distributed ? "distributed"
                     : failure.kind == Failure::Kind::Cancelled   ? "cancelled"
                                                                  : "op";
  return makeError_.Call({Napi::String::New(env, kind), Napi::String::New(env, failure.op),
                          Napi::String::New(env, failure.inputs), Napi::String::New(env, failure.message),
                          Napi::Number::New(env, failure.trace), Napi::Number::New(env, failure.cause)});
}

Napi::Object Environment::infoToJs(Napi::Env env, const TensorInfo& info) {
  auto result = Napi::Object::New(env);
  define(result, "defined", info.defined);
  define(result, "shape", intsToJs(env, info.shape));
  define(result, "strides", intsToJs(env, info.strides));
  define(result, "dtype", info.dtype);
  define(result, "device", info.device);
  define(result, "requiresGrad", info.requiresGrad);
  define(result, "traits", info.traits);
  define(result, "isLeaf", info.isLeaf);
  return result;
}

}  // namespace ld
