// Exported functions about operators: schemas, call sites, and running them.
#include <condition_variable>
#include <cstring>

#include "dispatch/cells.h"
#include "dispatch/guards/constants.h"
#include "dispatch/schema.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/executor.h"
#include "runtime/record.h"

namespace ld {

namespace {

// The scratch memory's layout, written by call.ts.
enum Scratch : uint32_t { kSite = 0, kMode = 1, kTrace = 2, kInputs = 3, kNumbers = 4, kOutputs = 5, kIds = 6 };

Napi::Object argumentToJs(Napi::Env env, const c10::Argument& argument) {
  auto result = Napi::Object::New(env);
  define(result, "name", argument.name());
  define(result, "type", argument.real_type()->str());
  define(result, "size", argument.N() ? Napi::Value(Napi::Number::New(env, *argument.N())) : env.Null());
  define(result, "keywordOnly", argument.kwarg_only());
  define(result, "hasDefault", argument.default_value().has_value());
  define(result, "written", argument.alias_info() != nullptr && argument.alias_info()->isWrite());
  return result;
}

}  // namespace

Napi::Value Environment::operators(const Info& info) {
  const auto names = operatorNames();
  auto result = Napi::Array::New(info.Env(), names.size());
  for (uint32_t i = 0; i < names.size(); ++i) result.Set(i, names[i]);
  return result;
}

// schema(name): { name, text, arguments, returns: [{ type, argument }], dynamic }, or null.
// `argument` is the index of the argument that the result *is* (in place, out=), else -1.
Napi::Value Environment::schema(const Info& info) {
  const Napi::Env env = info.Env();
  const auto op = findOperator(info[0].As<Napi::String>().Utf8Value());
  if (!op) return env.Null();
  const auto& schema = op->schema();
  auto result = Napi::Object::New(env);
  define(result, "name", c10::toString(schema.operator_name()));
  std::ostringstream text;
  text << schema;
  define(result, "text", text.str());
  define(result, "dynamic", dependsOnData(*op));
  auto arguments = Napi::Array::New(env, schema.arguments().size());
  for (uint32_t i = 0; i < schema.arguments().size(); ++i) arguments.Set(i, argumentToJs(env, schema.arguments()[i]));
  define(result, "arguments", arguments);
  auto returns = Napi::Array::New(env, schema.returns().size());
  for (uint32_t i = 0; i < schema.returns().size(); ++i) {
    const auto& returned = schema.returns()[i];
    int same = -1;
    if (returned.alias_info() != nullptr && returned.alias_info()->isWrite()) {
      for (size_t k = 0; k < schema.arguments().size(); ++k) {
        const auto* alias = schema.arguments()[k].alias_info();
        if (alias != nullptr && *alias == *returned.alias_info()) same = static_cast<int>(k);
      }
    }
    auto entry = Napi::Object::New(env);
    define(entry, "type", returned.real_type()->str());
    define(entry, "argument", same);
    returns.Set(i, entry);
  }
  define(result, "returns", returns);
  return result;
}

// createSite(name, slots, values): slots[i] is a Site::Slot, or -1 for the schema's default;
// values[i] is the constant, or the length of a tensor list.
Napi::Value Environment::createSite(const Info& info) {
  const Napi::Env env = info.Env();
  const auto op = findOperator(info[0].As<Napi::String>().Utf8Value());
  if (!op) throw Napi::TypeError::New(env, "no such operator");
  const auto slots = info[1].As<Napi::Array>();
  const auto values = info[2].As<Napi::Array>();
  auto site = std::make_unique<Site>(*op);
  const auto& schema = op->schema();
  for (uint32_t i = 0; i < schema.arguments().size(); ++i) {
    const int slot = slots.Get(i).As<Napi::Number>().Int32Value();
    Site::Argument argument;
    if (slot < 0) {
      const auto& fallback = schema.arguments()[i].default_value();
      if (!fallback) throw Napi::TypeError::New(env, "argument '" + schema.arguments()[i].name() + "' is missing");
      argument.constant = *fallback;
    } else {
      argument.slot = static_cast<Site::Slot>(slot);
      if (argument.slot == Site::Slot::Constant) {
        argument.constant = constantFromJs(schema.arguments()[i], values.Get(i));
      } else if (argument.slot == Site::Slot::TensorList || argument.slot == Site::Slot::OptionalTensorList) {
        argument.count = values.Get(i).As<Napi::Number>().Uint32Value();
        if (wantsCells(schema.arguments()[i])) argument.slot = Site::Slot::Cells;
      }
    }
    site->arguments.push_back(std::move(argument));
  }
  site->refusal = guards::refusalOf(*site);
  for (const auto& returned : schema.returns()) {
    site->written.push_back(returned.alias_info() != nullptr && returned.alias_info()->isWrite());
  }
  uint32_t index = static_cast<uint32_t>(sites_.size());
  if (freeSites_.empty()) {
    sites_.push_back(std::move(site));
  } else {
    index = freeSites_.back();
    freeSites_.pop_back();
    sites_[index] = std::move(site);
  }
  return Napi::Number::New(env, index);
}

// Queued behind the ops that use the site.
void Environment::releaseSite(const Info& info) {
  const uint32_t index = info[0].As<Napi::Number>().Uint32Value();
  std::shared_ptr<Site> site = std::move(sites_.at(index));
  freeSites_.push_back(index);
  Executor::instance().submit(*session_, [site](Session&) {});
}

const Site& Environment::siteInScratch() const { return *sites_[(*scratch_)[kSite]]; }

uint32_t Environment::recordLength() const {
  const auto& scratch = *scratch_;
  return record::kOpHeader + scratch[kInputs] + 2 * scratch[kNumbers] + scratch[kOutputs];
}

void Environment::writeRecord(uint32_t* words) const {
  const uint32_t* scratch = scratch_->data();
  const uint32_t inputs = scratch[kInputs], numbers = scratch[kNumbers], outputs = scratch[kOutputs];
  words[0] = record::Op;
  words[1] = recordLength();
  record::putPointer(words + 2, sites_[scratch[kSite]].get());
  words[4] = scratch[kMode];
  words[5] = scratch[kTrace];
  words[6] = inputs;
  words[7] = numbers;
  words[8] = outputs;
  uint32_t* rest = words + record::kOpHeader;
  std::memcpy(rest, scratch + kIds, inputs * sizeof(uint32_t));
  std::memcpy(rest + inputs, numbers_->data(), numbers * sizeof(double));
  std::memcpy(rest + inputs + 2 * numbers, scratch + kIds + inputs, outputs * sizeof(uint32_t));
}

napi_value Environment::enqueue(napi_env) {
  const uint32_t length = recordLength();
  if (length > Ring::kLongest) {
    submitLong(length);
  } else {
    auto& executor = Executor::instance();
    writeRecord(executor.reserve(*session_, length));
    executor.publish(*session_, length);
  }
  return nullptr;
}

// A record that the ring cannot hold as one piece goes as a task.
void Environment::submitLong(uint32_t length) {
  auto words = std::make_shared<std::vector<uint32_t>>(length);
  writeRecord(words->data());
  Executor::instance().submit(*session_, [words](Session& session) {
    if (!session.closing.load()) runOp(session, words->data());
  });
}

// Runs the op in the scratch memory and waits for it: the first call of a signature. A backward pass
// that lies before it in the queue may need this thread for a callback, so it waits for either.
Napi::Value Environment::runSync(const Info& info) {
  struct Wait {
    bool ready = false;
    Outcome outcome;
  };
  const auto wait = std::make_shared<Wait>();
  const auto words = std::make_shared<std::vector<uint32_t>>(recordLength());
  writeRecord(words->data());
  Executor::instance().submit(*session_, [wait, words](Session& session) {
    wait->outcome = runForOutcome(session, words->data());
    session.settle(wait->ready);
  });
  waitFor(info.Env(), wait->ready);
  if (wait->outcome.failure) {
    throw Napi::Error(info.Env(), failureToJs(info.Env(), *wait->outcome.failure));
  }
  return outcomeToJs(info.Env(), std::move(wait->outcome));
}

// The same for operators whose results depend on values: a promise.
Napi::Value Environment::runAsync(const Info& info) {
  const auto [id, promise] = openPromise(info.Env());
  const auto words = std::make_shared<std::vector<uint32_t>>(recordLength());
  writeRecord(words->data());
  Executor::instance().submit(*session_, [id, words](Session& session) {
    auto outcome = std::make_shared<Outcome>(runForOutcome(session, words->data()));
    session.complete(Settle::make(id, outcome->failure, [outcome](Environment& environment, Napi::Env env) {
      return Settle::outcome(environment, env, std::move(*outcome));
    }));
  });
  return promise;
}

// { key, results, written }: each result is { tensor: info }, { tensors: [info...] } or { value }. The
// tensors wait under `key` until adopt() gives them ids. `written` tells of the arguments written to.
Napi::Object Environment::outcomeToJs(Napi::Env env, Outcome outcome) {
  const uint64_t key = nextKey_++;
  std::vector<at::Tensor> tensors;
  auto results = Napi::Array::New(env, outcome.results.size());
  for (uint32_t i = 0; i < outcome.results.size(); ++i) {
    const c10::IValue& value = outcome.results[i];
    auto entry = Napi::Object::New(env);
    if (value.isTensor()) {
      tensors.push_back(value.toTensor());
      define(entry, "tensor", infoToJs(env, describe(tensors.back())));
    } else if (value.isTensorList()) {
      const auto list = value.toTensorVector();
      auto infos = Napi::Array::New(env, list.size());
      for (uint32_t k = 0; k < list.size(); ++k) {
        tensors.push_back(list[k]);
        infos.Set(k, infoToJs(env, describe(list[k])));
      }
      define(entry, "tensors", infos);
    } else {
      define(entry, "value", constantToJs(env, value));
    }
    results.Set(i, entry);
  }
  adoptions_.emplace(key, std::move(tensors));
  auto written = Napi::Array::New(env, outcome.written.size());
  for (uint32_t i = 0; i < outcome.written.size(); ++i) {
    auto entry = Napi::Object::New(env);
    define(entry, "argument", outcome.written[i].argument);
    define(entry, "element", outcome.written[i].element);
    define(entry, "tensor", infoToJs(env, outcome.written[i].info));
    written.Set(i, entry);
  }
  auto result = Napi::Object::New(env);
  define(result, "written", written);
  define(result, "key", static_cast<double>(key));
  define(result, "results", results);
  return result;
}

// adopt(key, ids): names the tensors of an outcome; id 0 drops one.
void Environment::adopt(const Info& info) {
  const auto found = adoptions_.find(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  if (found == adoptions_.end()) return;
  auto tensors = std::make_shared<std::vector<at::Tensor>>(std::move(found->second));
  adoptions_.erase(found);
  auto ids = intsFromJs(info[1]);
  Executor::instance().submit(*session_, [tensors, ids = std::move(ids)](Session& session) {
    for (size_t i = 0; i < tensors->size() && i < ids.size(); ++i) {
      session.table.put(static_cast<uint32_t>(ids[i]), std::move((*tensors)[i]));
    }
    tensors->clear();
  });
}

}  // namespace ld
