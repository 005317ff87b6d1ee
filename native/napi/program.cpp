// Exported functions of programs: recording what a function queues, and replaying it.
#include <algorithm>
#include <chrono>

#include "napi/convert.h"
#include "napi/environment.h"
#include "program/graph_runner.h"
#include "program/interpreter.h"
#include "program/passes/pass.h"
#include "program/recorder.h"
#include "runtime/executor.h"
#ifdef LD_CUDA
#include "program/cuda_graph.h"
#endif

namespace ld {

namespace {

using program::Interpreter;
using program::Program;
using program::Recorder;
using Ids = std::vector<int64_t>;

// The calls of all recordings of one program. Shared, so that one store cancels them: were they cancelled one recording
// after another, a call of the second could begin after one of the first was left out.
struct Calls {
  uint64_t made = 0;                   // JavaScript thread only
  std::atomic<uint64_t> cancelled{0};  // up to this one they are left out, unless they have begun
};
using CallsPtr = std::shared_ptr<Calls>;

// A recorded program, as JavaScript holds it. The program itself never changes; only the executor runs it.
struct Recorded {
  std::shared_ptr<const Program> program;
  std::unique_ptr<Interpreter> interpreter;  // executor thread only
  std::unique_ptr<program::GraphRunner> graph;  // the same; where the program can be a graph of its device
  std::string noGraph;                          // else why not
  program::MemoryPlan memory;
  std::vector<std::string> passes;
  std::atomic<uint32_t> queued{0};
  CallsPtr calls;
  std::atomic<uint64_t> replays{0};
  std::atomic<uint64_t> nanoseconds{0};  // of all replays
};
using RecordedPtr = std::shared_ptr<Recorded>;

const RecordedPtr& recordedFromJs(const Napi::Value& value) {
  return *value.As<Napi::External<RecordedPtr>>().Data();
}

// Throws what one of the tensors failed of.
std::vector<at::Tensor> tensorsOf(Session& session, const uint32_t* ids, size_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto& slot = session.table.at(ids[i]);
    if (slot.failure) throw FailureError(slot.failure);
    TORCH_CHECK(slot.tensor.defined(), "a tensor holds nothing: a gradient that no backward() reached");
    tensors.push_back(slot.tensor);
  }
  return tensors;
}

std::vector<at::Generator> generatorsOf(Session& session, const uint32_t* ids, size_t count) {
  std::vector<at::Generator> generators;
  for (size_t i = 0; i < count; ++i) {
    const at::Generator* generator = session.table.generator(ids[i]);
    TORCH_CHECK(generator != nullptr, "the generator is gone");
    generators.push_back(*generator);
  }
  return generators;
}

std::vector<uint32_t> idsFromJs(const Napi::Value& value) {
  const Ids ids = intsFromJs(value);
  return {ids.begin(), ids.end()};
}

Napi::Array flagsToJs(Napi::Env env, const std::vector<bool>& flags) {
  auto result = Napi::Array::New(env, flags.size());
  for (uint32_t i = 0; i < flags.size(); ++i) result.Set(i, static_cast<bool>(flags[i]));
  return result;
}

// The switch of graphs, among those of the passes.
constexpr const char* kGraphSwitch = "cudaGraph";

void addGraph(Recorded& recorded, const std::map<std::string, bool>& wanted) {
  const auto found = wanted.find(kGraphSwitch);
  if (found != wanted.end() && !found->second) {
    recorded.noGraph = "it is switched off";
    return;
  }
  const auto& values = recorded.program->values;
  const auto onGpu = std::find_if(values.begin(), values.end(), [](const program::Value& value) { return value.device.is_cuda(); });
  // Asked on the CPU too, where it shows what else would stand against a graph.
  if (const auto reason = program::whyNoGraph(*recorded.program, onGpu == values.end() ? at::kCPU : at::kCUDA)) {
    recorded.noGraph = *reason;
  } else if (onGpu == values.end()) {
    recorded.noGraph = "its tensors are on the CPU";
  } else {
#ifdef LD_CUDA
    recorded.graph = std::make_unique<program::GraphRunner>(
        *recorded.interpreter, [device = onGpu->device.index()] { return program::makeCudaCapture(device); });
#endif
  }
}

std::string graphState(const Recorded& recorded) {
  if (!recorded.graph) return "none: " + recorded.noGraph;
  switch (recorded.graph->state()) {
    case program::GraphRunner::State::WarmingUp:
      return "warming up";
    case program::GraphRunner::State::Captured:
      return "captured";
    default:
      return "none: " + recorded.graph->reason();
  }
}

RecordedPtr compile(Program recorded, const std::map<std::string, bool>& wanted) {
  auto result = std::make_shared<Recorded>();
  result->passes = program::runPasses(recorded, [&](const program::Pass& pass) {
    const auto found = wanted.find(pass.name);
    return found == wanted.end() ? pass.byDefault : found->second;
  });
  result->program = std::make_shared<const Program>(std::move(recorded));
  result->interpreter = std::make_unique<Interpreter>(result->program);
  result->memory = result->interpreter->memory();
  addGraph(*result, wanted);
  return result;
}

FailurePtr replayFailure(const Recorded& recorded) {
  const program::Instruction* at = recorded.interpreter->failed();
  if (at == nullptr) return currentFailure("program", "", 0);
  std::string inputs;
  program::forEachUse(*at, [&](program::ValueId id) {
    const program::Value& value = recorded.program->values[id];
    std::ostringstream text;
    text << c10::toString(value.dtype) << at::IntArrayRef(value.sizes);
    inputs += (inputs.empty() ? "" : ", ") + text.str();
  });
  return currentFailure(c10::toString(at->op.operator_name()), inputs, at->trace);
}

FailurePtr cancelledFailure() {
  auto failure = std::make_shared<Failure>();
  failure->kind = Failure::Kind::Cancelled;
  failure->op = "program";
  failure->message = "the call was cancelled before it began";
  return failure;
}

void replay(Session& session, Recorded& recorded, uint64_t call, const std::vector<uint32_t>& ids, size_t inputs,
            size_t generators) {
  const auto begun = std::chrono::steady_clock::now();
  const uint32_t* const outputs = ids.data() + inputs + generators;
  const size_t count = ids.size() - inputs - generators;
  try {
    TORCH_CHECK(session.recorder == nullptr, "a program cannot be called inside of another one's function");
    if (call <= recorded.calls->cancelled.load()) throw FailureError(cancelledFailure());
    const Interpreter::Call given{
        tensorsOf(session, ids.data(), inputs), generatorsOf(session, ids.data() + inputs, generators),
        [&session] { return session.closing.load(std::memory_order_relaxed) || Executor::instance().isParking(); }};
    const auto results = recorded.graph ? recorded.graph->run(given) : recorded.interpreter->run(given);
    for (size_t i = 0; i < count; ++i) session.table.put(outputs[i], results[i]);
  } catch (...) {
    const FailurePtr failure = replayFailure(recorded);
    for (size_t i = 0; i < count; ++i) session.table.poison(outputs[i], failure);
    session.leaveReport(failure);
  }
  recorded.nanoseconds += static_cast<uint64_t>((std::chrono::steady_clock::now() - begun).count());
  ++recorded.replays;
}

}  // namespace

// beginProgram(inputs, generators): from here on the session's operators are recorded.
void Environment::beginProgram(const Info& info) {
  const auto inputs = idsFromJs(info[0]), generators = idsFromJs(info[1]);
  Executor::instance().submit(*session_, [=](Session& session) {
    try {
      program::registerRecorder();
      session.recorder = std::make_shared<Recorder>(tensorsOf(session, inputs.data(), inputs.size()),
                                                    generatorsOf(session, generators.data(), generators.size()));
    } catch (...) {
      session.recorder = std::make_shared<Recorder>(std::vector<at::Tensor>{}, std::vector<at::Generator>{});
      session.recorder->refuse(currentFailure("program", "", 0));
    }
  });
}

// endProgram(outputs, results, passes: { name: on }, leaves, calls): a promise of { program, before, after }. `results` name
// the outputs anew, without history; `before` and `after` tell which leaves had a gradient and which have one now.
Napi::Value Environment::endProgram(const Info& info) {
  const auto outputs = idsFromJs(info[0]), results = idsFromJs(info[1]);
  std::map<std::string, bool> wanted;
  const auto passes = info[2].As<Napi::Object>();
  const auto names = passes.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = Napi::Value(names[i]).As<Napi::String>();
    wanted[name] = passes.Get(name).ToBoolean().Value();
  }
  const auto leaves = idsFromJs(info[3]);
  const CallsPtr calls = *info[4].As<Napi::External<CallsPtr>>().Data();
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [=, promise = promise](Session& session) {
    const auto recorder = std::exchange(session.recorder, nullptr);
    const program::RecordingGuard off(nullptr);
    FailurePtr failure;
    RecordedPtr recorded;
    std::vector<bool> before, after;
    try {
      TORCH_CHECK(recorder != nullptr && !session.closing.load(), "nothing is being recorded");
      const auto tensors = tensorsOf(session, outputs.data(), outputs.size());
      for (const uint32_t id : leaves) {
        const at::Tensor& leaf = session.table.at(id).tensor;
        before.push_back(leaf.defined() && recorder->hadGradient(leaf));
        after.push_back(leaf.defined() && leaf.grad().defined());
      }
      recorded = compile(recorder->finish(tensors), wanted);
      recorded->calls = calls;
      for (size_t i = 0; i < results.size(); ++i) session.table.put(results[i], tensors[i].detach());
    } catch (...) {
      failure = currentFailure("program", "", 0);
      for (const uint32_t id : results) session.table.poison(id, failure);
    }
    session.complete(Settle::make(promise, std::move(failure), [=](Environment&, Napi::Env env) -> Napi::Value {
      auto value = Napi::Object::New(env);
      define(value, "program", Napi::External<RecordedPtr>::New(env, new RecordedPtr(recorded),
                                                            [](Napi::BasicEnv, RecordedPtr* held) { delete held; }));
      define(value, "before", flagsToJs(env, before));
      define(value, "after", flagsToJs(env, after));
      return value;
    }));
  });
  return result;
}

// hasGradients(ids): which tensors have one, when all that is queued has run. Waits for it.
Napi::Value Environment::hasGradients(const Info& info) {
  struct Wait {
    bool ready = false;
    std::vector<bool> found;
  };
  const auto wait = std::make_shared<Wait>();
  const auto ids = idsFromJs(info[0]);
  Executor::instance().submit(*session_, [wait, ids](Session& session) {
    for (const uint32_t id : ids) {
      const at::Tensor& tensor = session.table.at(id).tensor;
      wait->found.push_back(tensor.defined() && tensor.grad().defined());
    }
    session.settle(wait->ready);
  });
  waitFor(info.Env(), wait->ready);
  return flagsToJs(info.Env(), wait->found);
}

// abandonProgram(): ends the recording without a program.
void Environment::abandonProgram(const Info&) {
  Executor::instance().submit(*session_, [](Session& session) { session.recorder.reset(); });
}

// replay(program, inputs n, generators n, outputs n): ids stand in the scratch memory, in that order. Gives how many
// replays of the program are queued.
Napi::Value Environment::replay(const Info& info) {
  const RecordedPtr recorded = recordedFromJs(info[0]);
  if (!recorded) throw Napi::Error::New(info.Env(), "the program is disposed");
  const auto count = [&](size_t i) { return static_cast<size_t>(info[i].As<Napi::Number>().Uint32Value()); };
  const size_t inputs = count(1), generators = count(2), outputs = count(3);
  const size_t total = inputs + generators + outputs;
  if (total > scratch_->size() || inputs != recorded->program->inputs.size() ||
      generators != recorded->program->generators || outputs != recorded->program->outputs.size()) {
    throw Napi::RangeError::New(info.Env(), "the program takes other numbers of tensors");
  }
  std::vector<uint32_t> ids(scratch_->begin(), scratch_->begin() + static_cast<std::ptrdiff_t>(total));
  const uint32_t queued = ++recorded->queued;
  const uint64_t call = ++recorded->calls->made;
  Executor::instance().submit(*session_, [recorded, call, ids = std::move(ids), inputs, generators](Session& session) {
    if (!session.closing.load()) ld::replay(session, *recorded, call, ids, inputs, generators);
    --recorded->queued;
  });
  return Napi::Number::New(info.Env(), queued);
}

// openCalls(): what the recordings of a program count their calls with.
Napi::Value Environment::openCalls(const Info& info) {
  return Napi::External<CallsPtr>::New(info.Env(), new CallsPtr(std::make_shared<Calls>()),
                                       [](Napi::BasicEnv, CallsPtr* held) { delete held; });
}

// cancelCalls(calls): those that are queued and have not begun are left out; their results are poisoned.
void Environment::cancelCalls(const Info& info) {
  Calls& calls = **info[0].As<Napi::External<CallsPtr>>().Data();
  calls.cancelled.store(calls.made);
}

// programTraces(program): per instruction, the key of the JavaScript stack of its call.
Napi::Value Environment::programTraces(const Info& info) {
  const auto& instructions = recordedFromJs(info[0])->program->instructions;
  auto result = Napi::Array::New(info.Env(), instructions.size());
  for (uint32_t i = 0; i < instructions.size(); ++i) result.Set(i, instructions[i].trace);
  return result;
}

// programText(program, lines): `lines[i]` is printed beside instruction i.
Napi::Value Environment::programText(const Info& info) {
  const auto given = info[1].As<Napi::Array>();
  std::vector<std::string> lines(given.Length());
  for (uint32_t i = 0; i < lines.size(); ++i) lines[i] = Napi::Value(given[i]).As<Napi::String>();
  return Napi::String::New(info.Env(), program::print(*recordedFromJs(info[0])->program, lines));
}

Napi::Value Environment::programStats(const Info& info) {
  const Napi::Env env = info.Env();
  const RecordedPtr& recorded = recordedFromJs(info[0]);
  auto result = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) { result.Set(name, Napi::Number::New(env, value)); };
  set("instructions", static_cast<double>(recorded->program->instructions.size()));
  set("peakBytes", static_cast<double>(recorded->memory.peakBytes));
  set("madeBytes", static_cast<double>(recorded->memory.madeBytes));
  set("capturedBytes", static_cast<double>(recorded->memory.capturedBytes));
  set("replays", static_cast<double>(recorded->replays.load()));
  set("replayMilliseconds", static_cast<double>(recorded->nanoseconds.load()) / 1e6);
  auto passes = Napi::Array::New(env, recorded->passes.size());
  for (uint32_t i = 0; i < recorded->passes.size(); ++i) passes.Set(i, recorded->passes[i]);
  define(result, "passes", passes);
  define(result, "graph", graphState(*recorded));
  return result;
}

// disposeProgram(program): queued behind its replays.
void Environment::disposeProgram(const Info& info) {
  const RecordedPtr recorded = std::move(*info[0].As<Napi::External<RecordedPtr>>().Data());
  Executor::instance().submit(*session_, [recorded](Session&) {});
}

// programPasses(): { name: on by default }
Napi::Value Environment::programPasses(const Info& info) {
  auto result = Napi::Object::New(info.Env());
  for (const program::Pass& pass : program::passes()) result.Set(pass.name, pass.byDefault);
  result.Set(kGraphSwitch, true);
  return result;
}

}  // namespace ld
