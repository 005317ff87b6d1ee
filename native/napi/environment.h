// The addon of one Node environment: the exported functions, what they share, and the way results
// take from the executor back to JavaScript.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "dispatch/run.h"
#include "dispatch/site.h"
#include "runtime/session.h"

namespace ld {

class Environment : public Napi::Addon<Environment> {
 public:
  Environment(Napi::Env env, Napi::Object exports);

  // The hot path: reads one op from the scratch memory and queues it.
  napi_value enqueue(napi_env env);

  // Delivers what the executor has finished, and runs the callback that it waits for. JavaScript thread.
  void deliver(Napi::Env env);

 private:
  using Info = Napi::CallbackInfo;

  // Operators (operators.cpp)
  Napi::Value operators(const Info& info);
  Napi::Value schema(const Info& info);
  Napi::Value createSite(const Info& info);
  void releaseSite(const Info& info);
  Napi::Value runSync(const Info& info);
  Napi::Value runAsync(const Info& info);
  void adopt(const Info& info);

  // Values (values.cpp)
  void fromData(const Info& info);
  Napi::Value read(const Info& info);
  Napi::Value item(const Info& info);
  Napi::Value openReading(const Info& info);
  void addToReading(const Info& info);
  void closeReading(const Info& info);
  void free(const Info& info);
  Napi::Value synchronize(const Info& info);
  Napi::Value catchUp(const Info& info);
  Napi::Value fence(const Info& info);

  // Sharing with other environments (sharing.cpp)
  Napi::Value share(const Info& info);
  Napi::Value receive(const Info& info);
  Napi::Value withdraw(const Info& info);

  // Autograd (gradients.cpp)
  void backward(const Info& info);
  void grad(const Info& info);
  void getGrad(const Info& info);
  void setGrad(const Info& info);
  void retainGrad(const Info& info);
  Napi::Value gradientGraph(const Info& info);

  // Functions of JavaScript in the graph (callbacks.cpp)
  Napi::Value registerHook(const Info& info);
  void removeHook(const Info& info);
  void attachFunction(const Info& info);
  Napi::Value beginSegment(const Info& info);
  void endSegment(const Info& info);
  void alias(const Info& info);
  void reply(const Info& info);
  void runCallback(Napi::Env env, const std::shared_ptr<CallbackRequest>& request);
  void serveBlocked(Napi::Env env);
  void waitFor(Napi::Env env, const bool& settled);
  void abandonIfTerminated(Napi::Env env);

  // Programs (program.cpp)
  void beginProgram(const Info& info);
  Napi::Value endProgram(const Info& info);
  Napi::Value hasGradients(const Info& info);
  void abandonProgram(const Info& info);
  Napi::Value replay(const Info& info);
  Napi::Value openCalls(const Info& info);
  void cancelCalls(const Info& info);
  Napi::Value programTraces(const Info& info);
  Napi::Value programText(const Info& info);
  Napi::Value programStats(const Info& info);
  Napi::Value programPasses(const Info& info);
  void disposeProgram(const Info& info);

  // Several processes (distributed.cpp)
  Napi::Value joinGroup(const Info& info);
  Napi::Value leaveGroup(const Info& info);
  Napi::Value startCollective(const Info& info);
  Napi::Value endCollective(const Info& info);
  void createReducer(const Info& info);
  void prepareReducer(const Info& info);
  Napi::Value finishReducer(const Info& info);
  void releaseReducer(const Info& info);

  // Random numbers (random.cpp)
  void manualSeed(const Info& info);
  void createGenerator(const Info& info);
  Napi::Value generatorState(const Info& info);
  void setGeneratorState(const Info& info);
  void readRngState(const Info& info);
  void writeRngState(const Info& info);

  // Process (process.cpp)
  Napi::Value versions(const Info& info);
  Napi::Value memory(const Info& info);
  void trim(const Info& info);
  void resetPeakMemory(const Info& info);
  void setNumThreads(const Info& info);
  Napi::Value getNumThreads(const Info& info);

  // GPUs (cuda.cpp)
  Napi::Value cudaOptions(const Info& info);
  void setCudaOptions(const Info& info);

  // Tells V8 how much memory the tensors hold, in steps.
  void reportMemory(Napi::Env env);
  void stopReport();

  void start(const Info& info);
  void stop();

  // A promise that a Completion settles later. The event loop stays alive while one is open.
  struct Promise {
    uint64_t id;
    Napi::Promise promise;
  };
  Promise openPromise(Napi::Env env);

  struct Reading;  // values.cpp

  using ToJs = Napi::Value (*)(Napi::Env env, const at::Tensor& copy);
  Napi::Value readAs(const Info& info, ToJs toJs);

  // Copies the op in the scratch memory into a record; `place` gives the memory for its words.
  const Site& siteInScratch() const;
  uint32_t recordLength() const;
  void writeRecord(uint32_t* words) const;
  void submitLong(uint32_t length);

  Napi::Object outcomeToJs(Napi::Env env, Outcome outcome);
  Napi::Value failureToJs(Napi::Env env, const Failure& failure);
  Napi::Object infoToJs(Napi::Env env, const TensorInfo& info);

  std::shared_ptr<Session> session_ = std::make_shared<Session>();
  // Shared with JavaScript as typed arrays. Never freed while JavaScript may hold them: they live
  // as long as the environment, whose array buffers point here.
  std::shared_ptr<std::vector<uint32_t>> scratch_;
  std::shared_ptr<std::vector<double>> numbers_;

  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<uint32_t> freeSites_;
  std::unordered_map<uint64_t, std::vector<at::Tensor>> adoptions_;
  std::unordered_map<uint64_t, Napi::Promise::Deferred> promises_;
  uint64_t nextKey_ = 1;
  Napi::FunctionReference makeError_;
  int64_t reportedBytes_ = 0;
  Napi::FunctionReference runCallback_;
  Napi::FunctionReference releaseCallbacks_;
  std::shared_ptr<CallbackRequest> running_;  // the innermost callback
  napi_threadsafe_function wakeUp_ = nullptr;

  friend struct Settle;
};

// A completion that settles one promise.
struct Settle : Completion {
  uint64_t promise = 0;
  FailurePtr failure;
  // Builds the value on the JavaScript thread; not called where `failure` is set.
  std::function<Napi::Value(Environment&, Napi::Env)> value;

  static std::unique_ptr<Settle> make(uint64_t promise, FailurePtr failure,
                                      std::function<Napi::Value(Environment&, Napi::Env)> value) {
    auto settle = std::make_unique<Settle>();
    settle->promise = promise;
    settle->failure = std::move(failure);
    settle->value = std::move(value);
    return settle;
  }
  static Napi::Object outcome(Environment& environment, Napi::Env env, Outcome outcome) {
    return environment.outcomeToJs(env, std::move(outcome));
  }
};

}  // namespace ld
