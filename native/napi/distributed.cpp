// Exported functions of several processes. None of them waits for another process on the JavaScript thread or on
// the executor: meeting and leaving have a thread of their own, and a queue that needs a result is held at a gate.
#include <torch/csrc/autograd/variable.h>

#include <thread>

#include "distributed/group.h"
#include "distributed/reducer.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/executor.h"

namespace ld {

namespace {

Napi::Value nothing(Environment&, Napi::Env env) { return env.Undefined(); }

// What went wrong between processes, and not in an op.
FailurePtr distributedFailure() {
  auto failure = std::make_shared<Failure>(*currentFailure("distributed", "", 0));
  failure->kind = Failure::Kind::Distributed;
  return failure;
}

// A replay would not repeat the exchange.
void refuseRecording(const Session& session) {
  TORCH_CHECK(session.recorder == nullptr, "an exchange with other processes cannot be part of a program: keep it outside");
}

// What JavaScript holds of an operation under way. Executor thread only.
struct Flight {
  std::shared_ptr<Collective> collective;  // null where it could not be started
  FailurePtr failure;
};
using FlightPtr = std::shared_ptr<Flight>;

std::string text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

}  // namespace

// joinGroup(backend, host, port, serve, rank, size, timeout in ms): a promise of having met all others.
Napi::Value Environment::joinGroup(const Info& info) {
  Group::Settings settings;
  settings.backend = text(info[0]);
  settings.host = text(info[1]);
  settings.port = static_cast<uint16_t>(info[2].As<Napi::Number>().Uint32Value());
  settings.serve = info[3].As<Napi::Boolean>().Value();
  settings.rank = info[4].As<Napi::Number>().Int32Value();
  settings.size = info[5].As<Napi::Number>().Int32Value();
  settings.timeout = std::chrono::milliseconds(info[6].As<Napi::Number>().Int64Value());
  const auto [promise, result] = openPromise(info.Env());
  std::thread([session = session_, promise = promise, settings] {
    FailurePtr failure;
    try {
      Group::join(settings);
    } catch (...) {
      failure = distributedFailure();
    }
    session->complete(Settle::make(promise, std::move(failure), nothing));
  }).detach();
  return result;
}

// leaveGroup(reason): a promise. The reason is for the others to be told; "" in peace.
Napi::Value Environment::leaveGroup(const Info& info) {
  const std::string reason = text(info[0]);
  const auto [promise, result] = openPromise(info.Env());
  std::thread([session = session_, promise = promise, reason] {
    FailurePtr failure;
    try {
      Group::current()->leave(reason);
    } catch (...) {
      failure = distributedFailure();
    }
    session->complete(Settle::make(promise, std::move(failure), nothing));
  }).detach();
  return result;
}

// startCollective(kind, id, detail): what endCollective() takes. `detail` is the reduction's number for an
// allReduce, the source's rank for a broadcast. 'begun' stands for what an operator has started with the tensor.
Napi::Value Environment::startCollective(const Info& info) {
  const std::string kind = text(info[0]);
  const uint32_t id = info[1].As<Napi::Number>().Uint32Value();
  const int detail = info[2].As<Napi::Number>().Int32Value();
  const auto flight = std::make_shared<Flight>();
  Executor::instance().submit(*session_, [flight, kind, id, detail](Session& session) {
    if (session.closing.load()) return;
    const auto slot = session.table.at(id);
    if ((flight->failure = slot.failure)) return;
    try {
      refuseRecording(session);
      const auto group = Group::current();
      if (kind == "barrier") {
        flight->collective = group->barrier();
        return;
      }
      TORCH_CHECK(slot.tensor.defined(), "the tensor holds nothing");
      if (kind == "begun") {
        flight->collective = group->begun(slot.tensor);
        return;
      }
      // The backend writes to the memory itself: a pass that still needs the old values must notice.
      torch::autograd::impl::bump_version(slot.tensor);
      const at::Tensor plain = slot.tensor.detach();
      flight->collective = kind == "allReduce"
                               ? group->allReduce(plain, static_cast<c10d::ReduceOp::RedOpType>(detail))
                               : group->broadcast(plain, detail);
    } catch (...) {
      flight->failure = currentFailure(kind, slot.tensor.defined() ? brief(slot.tensor) : "", 0);
    }
  });
  return Napi::External<FlightPtr>::New(info.Env(), new FlightPtr(flight),
                                        [](Napi::BasicEnv, FlightPtr* held) { delete held; });
}

// endCollective(flight, id): holds the queue until the operation has ended; a promise of that. A failure poisons
// the tensor `id`; 0 for none.
Napi::Value Environment::endCollective(const Info& info) {
  const FlightPtr flight = *info[0].As<Napi::External<FlightPtr>>().Data();
  const uint32_t id = info[1].As<Napi::Number>().Uint32Value();
  const auto [promise, result] = openPromise(info.Env());
  auto& executor = Executor::instance();
  const auto gates = std::make_shared<Gates>();
  executor.submit(*session_, [flight, gates](Session&) {
    if (flight->collective) gates->push_back(flight->collective);
  });
  executor.hold(*session_, gates);
  executor.submit(*session_, [flight, id, promise = promise](Session& session) {
    if (flight->collective && !flight->failure && flight->collective->isOpen()) {
      flight->failure = flight->collective->failure;
      flight->collective->order();
    }
    if (flight->failure) session.table.poison(id, flight->failure);
    session.complete(Settle::make(promise, flight->failure, nothing));
  });
  return result;
}

// createReducer(reducer, parameters, bucketBytes)
void Environment::createReducer(const Info& info) {
  const uint32_t key = info[0].As<Napi::Number>().Uint32Value();
  const auto ids = intsFromJs(info[1]);
  const auto bytes = static_cast<size_t>(info[2].As<Napi::Number>().Int64Value());
  Executor::instance().submit(*session_, [key, ids, bytes](Session& session) {
    if (session.closing.load()) return;
    try {
      std::vector<at::Tensor> parameters;
      for (const int64_t id : ids) {
        const auto& slot = session.table.at(static_cast<uint32_t>(id));
        if (slot.failure) throw CallbackError(slot.failure);
        parameters.push_back(slot.tensor);
      }
      session.reducers[key] = Reducer::make(Group::current(), std::move(parameters), bytes);
    } catch (...) {
      session.unreported = currentFailure("Reducer", "", 0);
    }
  });
}

namespace {

Reducer& reducerOf(Session& session, uint32_t key) {
  const auto found = session.reducers.find(key);
  TORCH_CHECK(found != session.reducers.end(), "the reducer could not be made, or is disposed");
  return *found->second;
}

}  // namespace

// prepareReducer(reducer)
void Environment::prepareReducer(const Info& info) {
  const uint32_t key = info[0].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [key](Session& session) {
    if (session.closing.load()) return;
    refuseRecording(session);
    reducerOf(session, key).prepare();
  });
}

// finishReducer(reducer): holds the queue until all gradients are averaged; a promise of that.
Napi::Value Environment::finishReducer(const Info& info) {
  const uint32_t key = info[0].As<Napi::Number>().Uint32Value();
  const auto [promise, result] = openPromise(info.Env());
  auto& executor = Executor::instance();
  const auto gates = std::make_shared<Gates>();
  const auto failure = std::make_shared<FailurePtr>();
  executor.submit(*session_, [key, gates, failure](Session& session) {
    if (session.closing.load()) return;
    try {
      *gates = reducerOf(session, key).sent();
    } catch (...) {
      *failure = currentFailure("Reducer", "", 0);
    }
  });
  executor.hold(*session_, gates);
  executor.submit(*session_, [key, failure, promise = promise](Session& session) {
    try {
      if (!*failure && !session.closing.load()) reducerOf(session, key).finish();
    } catch (...) {
      *failure = currentFailure("Reducer", "", 0);
    }
    session.complete(Settle::make(promise, *failure, nothing));
  });
  return result;
}

// releaseReducer(reducer)
void Environment::releaseReducer(const Info& info) {
  const uint32_t key = info[0].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [key](Session& session) { session.reducers.erase(key); });
}

}  // namespace ld
