// Exported functions by which one environment hands a tensor to another, without a copy. The order of
// ops holds across threads: the receiver's queue waits at its place until the sender's has come to its own.
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/executor.h"
#include "runtime/shared_tensors.h"

namespace ld {

// share(id, shape, strides, dtype, device): the token under which another environment receives it.
Napi::Value Environment::share(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  SharedTensors::Offer offer;
  offer.owner = session_.get();
  offer.info.defined = true;
  offer.info.shape = intsFromJs(info[1]);
  offer.info.strides = intsFromJs(info[2]);
  offer.info.dtype = info[3].As<Napi::Number>().Int32Value();
  offer.info.device = info[4].As<Napi::String>().Utf8Value();
  // Queued before the token exists, so that whoever waits for the parcel waits for a record in a queue.
  // The promise keeps a worker that has nothing else to do alive until what it shared is computed.
  const auto promise = openPromise(info.Env()).id;
  Executor::instance().submit(*session_, [id, promise, parcel = offer.parcel](Session& session) {
    const auto& slot = session.table.at(id);
    parcel->failure = slot.failure;
    if (!parcel->failure) {
      try {
        TORCH_CHECK(slot.tensor.defined(), "the thread that shared the tensor ended before it was computed");
        // Same storage and version counter, no history: autograd graphs do not cross threads, yet a
        // write on one side is noticed by a backward pass on the other.
        parcel->tensor = slot.tensor.detach();
      } catch (...) {
        parcel->failure = currentFailure("share", brief(slot.tensor), 0);
      }
    }
    parcel->ready = true;
    session.complete(Settle::make(promise, nullptr, [](Environment&, Napi::Env env) { return env.Undefined(); }));
  });
  return Napi::String::New(info.Env(), SharedTensors::instance().put(std::move(offer)));
}

// receive(token, id): what is known of the tensor, which will be `id`; null for an unknown token.
Napi::Value Environment::receive(const Info& info) {
  auto offer = SharedTensors::instance().take(info[0].As<Napi::String>().Utf8Value());
  if (!offer) return info.Env().Null();
  Executor::instance().receive(*session_, std::move(offer->parcel), info[1].As<Napi::Number>().Uint32Value());
  return infoToJs(info.Env(), offer->info);
}

// withdraw(token): whether it was still to be received.
Napi::Value Environment::withdraw(const Info& info) {
  const bool found = SharedTensors::instance().take(info[0].As<Napi::String>().Utf8Value()).has_value();
  return Napi::Boolean::New(info.Env(), found);
}

}  // namespace ld
