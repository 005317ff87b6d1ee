// Exported functions that move values between JavaScript and tensors.
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch/guards/tensors.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/devices.h"
#include "runtime/executor.h"

namespace ld {

// fromData(id, bytes: Uint8Array, shape, dtype, device, requiresGrad): a tensor with a copy of `bytes`. On its way
// to a GPU it lies in pinned memory, so that the copy there is queued like an operator.
void Environment::fromData(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const auto bytes = info[1].As<Napi::Uint8Array>();
  const auto shape = intsFromJs(info[2]);
  const auto dtype = static_cast<at::ScalarType>(info[3].As<Napi::Number>().Int32Value());
  const at::Device device = deviceFromJs(info[4]);
  const bool requiresGrad = info[5].As<Napi::Boolean>().Value();
  at::Tensor tensor = device.is_cuda() ? pinned(shape, dtype) : at::empty(shape, at::TensorOptions().dtype(dtype));
  if (tensor.nbytes() != bytes.ByteLength()) {
    throw Napi::RangeError::New(info.Env(), "the shape wants " + std::to_string(tensor.nbytes()) + " bytes, the data has " +
                                                std::to_string(bytes.ByteLength()));
  }
  if (tensor.nbytes() > 0) std::memcpy(tensor.mutable_data_ptr(), bytes.Data(), tensor.nbytes());
  if (!device.is_cuda()) {
    if (requiresGrad) tensor.requires_grad_(true);
    Executor::instance().submit(*session_, [id, tensor](Session& session) { session.table.put(id, tensor); });
    return;
  }
  // Moved, so that the executor lets go of the pinned memory: see queueToHost().
  Executor::instance().submit(*session_, [=, tensor = std::move(tensor)](Session& session) {
    try {
      session.table.put(id, tensor.to(device, /*non_blocking=*/true).requires_grad_(requiresGrad));
    } catch (...) {
      auto failure = currentFailure("tensor", brief(tensor) + " to " + device.str(), 0);
      session.table.poison(id, failure);
      session.unreported = std::move(failure);
    }
  });
}

// A promise of what `toJs` makes of a contiguous copy of the values.
Napi::Value Environment::readAs(const Info& info, ToJs toJs) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [id, toJs, promise = promise](Session& session) {
    const auto& slot = session.table.at(id);
    FailurePtr failure = slot.failure;
    at::Tensor copy;
    bool onDevice = false;
    if (!failure) {
      try {
        TORCH_CHECK(slot.tensor.defined(), "the tensor holds nothing: a gradient that no backward() reached, or a result that never came");
        const at::NoGradGuard guard;
        guards::checkTensor(slot.tensor);
        const at::Tensor dense = slot.tensor.layout() == at::kStrided ? slot.tensor : slot.tensor.to_dense();
        const at::Tensor plain = dense.detach().resolve_conj().resolve_neg();
        onDevice = plain.is_cuda();
        if (onDevice) {
          copy = queueToHost(plain);
        } else {
          const at::Tensor values = plain.to(at::kCPU).contiguous();
          // One copy: a snapshot that later ops in place do not change. What had to be converted is one.
          const bool own = slot.tensor.layout() != at::kStrided || !values.is_alias_of(slot.tensor);
          copy = own ? values : values.clone();
        }
      } catch (...) {
        failure = currentFailure("read", brief(slot.tensor), 0);
      }
    }
    if (failure == session.unreported) session.unreported.reset();
    const auto value = [copy, toJs](Environment&, Napi::Env env) { return toJs(env, copy); };
    if (!onDevice || failure) {
      session.complete(Settle::make(promise, std::move(failure), value));
      return;
    }
    whenReached([session = session.shared_from_this(), promise, value](FailurePtr lost) {
      session->complete(Settle::make(promise, std::move(lost), value));
    });
  });
  return result;
}

// read(id): a promise of { bytes: ArrayBuffer, shape, dtype }.
Napi::Value Environment::read(const Info& info) {
  return readAs(info, [](Napi::Env env, const at::Tensor& copy) -> Napi::Value {
    auto value = Napi::Object::New(env);
    const size_t bytes = copy.nbytes();
    constexpr size_t kSmall = 4096;
    if (bytes <= kSmall) {
      auto buffer = Napi::ArrayBuffer::New(env, bytes);
      if (bytes > 0) std::memcpy(buffer.Data(), copy.const_data_ptr(), bytes);
      define(value, "bytes", buffer);
    } else {
      define(value, "bytes", Napi::ArrayBuffer::New(
                             env, const_cast<void*>(copy.const_data_ptr()), bytes,
                             [](Napi::BasicEnv, void*, at::Tensor* held) { delete held; }, new at::Tensor(copy)));
    }
    define(value, "shape", intsToJs(env, copy.sizes()));
    define(value, "dtype", static_cast<int>(copy.scalar_type()));
    return value;
  });
}

// item(id): a promise of the one value of a tensor of float64, float32, int64 or bool.
Napi::Value Environment::item(const Info& info) {
  return readAs(info, [](Napi::Env env, const at::Tensor& copy) -> Napi::Value {
    switch (copy.numel() == 1 ? copy.scalar_type() : at::ScalarType::Undefined) {
      case at::kDouble:
        return Napi::Number::New(env, *copy.const_data_ptr<double>());
      case at::kFloat:
        return Napi::Number::New(env, static_cast<double>(*copy.const_data_ptr<float>()));
      case at::kLong:
        return Napi::BigInt::New(env, *copy.const_data_ptr<int64_t>());
      case at::kBool:
        return Napi::Boolean::New(env, *copy.const_data_ptr<bool>());
      default:
        throw Napi::TypeError::New(env, "item() wants one element of float64, float32, int64 or bool");
    }
  });
}

// Rows on their way to JavaScript together, so that it is woken once for all.
struct Environment::Reading {
  static constexpr int64_t kLongestRow = 1024;

  uint64_t promise = 0;
  std::vector<at::Tensor> rows;  // on the host
  bool onDevice = false;
  bool over = false;

  // Executor thread. The promise tells of the rows before a failure too.
  void settle(Session& session, FailurePtr failure) {
    over = true;
    auto value = [rows = std::move(rows), failure](Environment& environment, Napi::Env env) -> Napi::Value {
      auto all = Napi::Array::New(env, rows.size());
      for (uint32_t i = 0; i < rows.size(); ++i) {
        const at::Tensor& row = rows[i];
        auto numbers = Napi::Array::New(env, static_cast<size_t>(row.numel()));
        for (uint32_t k = 0; k < row.numel(); ++k) numbers.Set(k, row.const_data_ptr<float>()[k]);
        all.Set(i, numbers);
      }
      auto result = Napi::Array::New(env, 2);
      result.Set(0u, all);
      result.Set(1u, failure ? environment.failureToJs(env, *failure) : env.Null());
      return result;
    };
    if (!onDevice) return session.complete(Settle::make(promise, nullptr, std::move(value)));
    whenReached([session = session.shared_from_this(), promise = promise, value = std::move(value)](FailurePtr lost) {
      session->complete(Settle::make(promise, std::move(lost), value));
    });
  }

  void add(Session& session, uint32_t id) {
    if (over) return;
    const auto& slot = session.table.at(id);
    try {
      if (slot.failure) throw FailureError(slot.failure);
      TORCH_CHECK(slot.tensor.defined(), "the tensor holds nothing");
      const at::NoGradGuard guard;
      guards::checkTensor(slot.tensor);
      TORCH_CHECK(slot.tensor.scalar_type() == at::kFloat && slot.tensor.layout() == at::kStrided &&
                      !slot.tensor.is_nested() && slot.tensor.numel() <= kLongestRow,
                  "rows that are read together are dense, of float32, and of at most ", kLongestRow, " numbers");
      const at::Tensor row = slot.tensor.detach().resolve_neg().contiguous();
      onDevice |= row.is_cuda();
      rows.push_back(row.is_cuda() ? queueToHost(row) : row.clone());
    } catch (...) {
      FailurePtr failure = currentFailure("read", brief(slot.tensor), 0);
      if (failure == session.unreported) session.unreported.reset();
      return settle(session, std::move(failure));
    }
    // What a device computes is not waited for, so it is not looked at.
    const at::Tensor& row = rows.back();
    const float* const values = row.const_data_ptr<float>();
    if (!onDevice && !std::all_of(values, values + row.numel(), [](float value) { return std::isfinite(value); })) {
      settle(session, nullptr);
    }
  }
};

// openReading(): [reading, result]. `result` promises [rows: number[][], failure: Error | null] of the tensors that were
// added, once it is closed; before, where a row on the CPU is not finite or has failed, of those until then.
Napi::Value Environment::openReading(const Info& info) {
  const Napi::Env env = info.Env();
  const auto [promise, result] = openPromise(env);
  auto reading = std::make_shared<Reading>();
  reading->promise = promise;
  using Held = std::shared_ptr<Reading>;
  auto value = Napi::Array::New(env, 2);
  value.Set(0u, Napi::External<Held>::New(env, new Held(std::move(reading)), [](Napi::BasicEnv, Held* held) { delete held; }));
  value.Set(1u, result);
  return value;
}

// addToReading(reading, id)
void Environment::addToReading(const Info& info) {
  const auto reading = *info[0].As<Napi::External<std::shared_ptr<Reading>>>().Data();
  const uint32_t id = info[1].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [reading, id](Session& session) { reading->add(session, id); });
}

// closeReading(reading)
void Environment::closeReading(const Info& info) {
  const auto reading = *info[0].As<Napi::External<std::shared_ptr<Reading>>>().Data();
  Executor::instance().submit(*session_, [reading](Session& session) {
    if (!reading->over) reading->settle(session, nullptr);
  });
}

// free(count): the ids stand in the scratch memory. Queued behind the ops that use them.
void Environment::free(const Info& info) {
  const size_t count = std::min<size_t>(info[0].As<Napi::Number>().Uint32Value(), scratch_->size());
  auto& executor = Executor::instance();
  constexpr size_t kMost = 4096;
  for (size_t from = 0; from < count; from += kMost) {
    const auto some = static_cast<uint32_t>(std::min(kMost, count - from));
    uint32_t* words = executor.reserve(*session_, some + 2);
    words[0] = record::Free;
    words[1] = some + 2;
    std::copy_n(scratch_->data() + from, some, words + 2);
    executor.publish(*session_, some + 2);
  }
}

// synchronize(): a promise that everything queued so far is done, on the devices too; rejects with a
// failure that nobody has been told of.
Napi::Value Environment::synchronize(const Info& info) {
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [promise = promise](Session& session) {
    auto settle = [session = session.shared_from_this(), promise,
                   failure = std::exchange(session.unreported, nullptr)](FailurePtr lost) {
      session->complete(Settle::make(promise, failure ? failure : lost,
                                     [](Environment&, Napi::Env env) -> Napi::Value { return env.Undefined(); }));
    };
    whenReached(std::move(settle));
  });
  return result;
}

// catchUp(): null while the queue has room; else a fence.
Napi::Value Environment::catchUp(const Info& info) {
  return session_->ring.halfFull() ? fence(info) : info.Env().Null();
}

// fence(): a promise that what is queued so far is done. It says nothing of failures.
Napi::Value Environment::fence(const Info& info) {
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [promise = promise](Session& session) {
    session.complete(Settle::make(promise, nullptr, [](Environment&, Napi::Env env) { return env.Undefined(); }));
  });
  return result;
}

}  // namespace ld
