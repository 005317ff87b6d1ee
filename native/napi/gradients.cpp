// Exported functions of autograd. A backward pass is one task of the executor.
#include <torch/csrc/autograd/autograd.h>

#include "napi/convert.h"
#include "napi/environment.h"
#include "runtime/executor.h"

namespace ld {

namespace {

using Ids = std::vector<int64_t>;

// The tensors of `ids`, or the failure that one of them carries.
std::variant<std::vector<at::Tensor>, FailurePtr> gather(Session& session, const Ids& ids) {
  std::vector<at::Tensor> tensors;
  for (const int64_t id : ids) {
    if (id == 0) {
      tensors.emplace_back();
      continue;
    }
    const auto& slot = session.table.at(static_cast<uint32_t>(id));
    if (slot.failure) return slot.failure;
    tensors.push_back(slot.tensor);
  }
  return tensors;
}

std::string brief(const std::vector<at::Tensor>& tensors) { return tensors.empty() ? "" : ld::brief(tensors.front()); }

}  // namespace

// backward(tensors, gradients, inputs, retainGraph, createGraph, trace). A failure is kept for the
// next await of the session: no result of it would carry it.
void Environment::backward(const Info& info) {
  const Ids tensors = intsFromJs(info[0]), gradients = intsFromJs(info[1]), inputs = intsFromJs(info[2]);
  const bool retain = info[3].As<Napi::Boolean>().Value();
  const bool create = info[4].As<Napi::Boolean>().Value();
  const uint32_t trace = info[5].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [=](Session& session) {
    if (session.closing.load()) return;
    const auto roots = gather(session, tensors), grads = gather(session, gradients), leaves = gather(session, inputs);
    for (const auto* part : {&roots, &grads, &leaves}) {
      if (const auto* failure = std::get_if<FailurePtr>(part)) {
        session.unreported = *failure;
        return;
      }
    }
    const auto& outputs = std::get<0>(roots);
    try {
      const ModeGuard guard(record::Grad);
      torch::autograd::backward(outputs, std::get<0>(grads), retain, create, std::get<0>(leaves));
    } catch (...) {
      session.unreported = currentFailure("backward", brief(outputs), trace);
    }
  });
}

// grad(outputs, inputs, gradOutputs, retainGraph, createGraph, allowUnused, results, trace)
void Environment::grad(const Info& info) {
  const Ids outputs = intsFromJs(info[0]), inputs = intsFromJs(info[1]), gradients = intsFromJs(info[2]);
  const bool retain = info[3].As<Napi::Boolean>().Value();
  const bool create = info[4].As<Napi::Boolean>().Value();
  const bool unused = info[5].As<Napi::Boolean>().Value();
  const Ids results = intsFromJs(info[6]);
  const uint32_t trace = info[7].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [=](Session& session) {
    if (session.closing.load()) return;
    const auto fail = [&](const FailurePtr& failure) {
      for (const int64_t id : results) session.table.poison(static_cast<uint32_t>(id), failure);
      session.unreported = failure;
    };
    const auto roots = gather(session, outputs), leaves = gather(session, inputs), grads = gather(session, gradients);
    for (const auto* part : {&roots, &leaves, &grads}) {
      if (const auto* failure = std::get_if<FailurePtr>(part)) return fail(*failure);
    }
    try {
      const ModeGuard guard(record::Grad);
      const auto found = torch::autograd::grad(std::get<0>(roots), std::get<0>(leaves), std::get<0>(grads), retain, create, unused);
      for (size_t i = 0; i < results.size(); ++i) session.table.put(static_cast<uint32_t>(results[i]), found.at(i));
    } catch (...) {
      fail(currentFailure("grad", brief(std::get<0>(roots)), trace));
    }
  });
}

// getGrad(ids, results): a result holds nothing where there is no gradient.
void Environment::getGrad(const Info& info) {
  const Ids ids = intsFromJs(info[0]), results = intsFromJs(info[1]);
  Executor::instance().submit(*session_, [=](Session& session) {
    for (size_t i = 0; i < ids.size(); ++i) {
      // A copy: putting the result may move the table.
      const auto slot = session.table.at(static_cast<uint32_t>(ids[i]));
      const auto result = static_cast<uint32_t>(results.at(i));
      if (slot.failure) {
        session.table.poison(result, slot.failure);
      } else {
        session.table.put(result, slot.tensor.defined() ? slot.tensor.grad() : at::Tensor());
      }
    }
  });
}

// setGrad(ids, gradient): one gradient for one tensor, or 0 to clear those of many.
void Environment::setGrad(const Info& info) {
  const Ids ids = intsFromJs(info[0]);
  const uint32_t gradient = info[1].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [=](Session& session) {
    const at::Tensor value = gradient == 0 ? at::Tensor() : session.table.at(gradient).tensor;
    for (const int64_t id : ids) {
      const auto& tensor = session.table.at(static_cast<uint32_t>(id)).tensor;
      if (tensor.defined()) tensor.mutable_grad() = value;
    }
  });
}

}  // namespace ld
