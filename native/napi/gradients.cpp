// Exported functions of autograd. A backward pass is one task of the executor.
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include "autograd/gradient.h"
#include "autograd/graph.h"
#include "napi/convert.h"
#include "napi/environment.h"
#include "program/recorder.h"
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

// Callbacks learn the number of the outermost pass: a pass inside a callback belongs to it.
class PassGuard {
 public:
  PassGuard(Session& session, uint32_t pass) : session_(session), outer_(session.pass) {
    if (session.depth == 0) session.pass = pass;
  }
  ~PassGuard() { session_.pass = outer_; }
  PassGuard(const PassGuard&) = delete;
  PassGuard& operator=(const PassGuard&) = delete;

 private:
  Session& session_;
  const uint32_t outer_;
};

// A constant among gradients that JavaScript took for differentiable.
at::Tensor asAssumed(const at::Tensor& gradient, bool requiresGrad) {
  if (!requiresGrad || !gradient.defined() || gradient.requires_grad()) return gradient;
  const at::Tensor same = gradient.detach();
  giveHistory(same);
  return same;
}

std::string brief(const std::vector<at::Tensor>& tensors) { return tensors.empty() ? "" : ld::brief(tensors.front()); }

}  // namespace

// backward(tensors, gradients, inputs, retainGraph, createGraph, trace, pass). Of what it computes JavaScript has no
// handle yet, so a failure poisons the tensors that it started from.
void Environment::backward(const Info& info) {
  const Ids tensors = intsFromJs(info[0]), gradients = intsFromJs(info[1]), inputs = intsFromJs(info[2]);
  const bool retain = info[3].As<Napi::Boolean>().Value();
  const bool create = info[4].As<Napi::Boolean>().Value();
  const uint32_t trace = info[5].As<Napi::Number>().Uint32Value();
  const uint32_t pass = info[6].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [=](Session& session) {
    if (session.closing.load()) return;
    const auto fail = [&](const FailurePtr& failure) {
      for (const int64_t id : tensors) session.table.poison(static_cast<uint32_t>(id), failure);
      session.unreported = failure;
    };
    const auto roots = gather(session, tensors), grads = gather(session, gradients), leaves = gather(session, inputs);
    for (const auto* part : {&roots, &grads, &leaves}) {
      if (const auto* failure = std::get_if<FailurePtr>(part)) return fail(*failure);
    }
    const auto& outputs = std::get<0>(roots);
    try {
      const ModeGuard guard(record::Grad);
      const PassGuard numbered(session, pass);
      if (session.recorder) session.recorder->trace = trace;
      torch::autograd::backward(outputs, std::get<0>(grads), retain, create, std::get<0>(leaves));
    } catch (...) {
      fail(currentFailure("backward", brief(outputs), trace));
    }
  });
}

// grad(outputs, inputs, gradOutputs, retainGraph, createGraph, allowUnused, materialize, results, trace, pass)
void Environment::grad(const Info& info) {
  const Ids outputs = intsFromJs(info[0]), inputs = intsFromJs(info[1]), gradients = intsFromJs(info[2]);
  const bool retain = info[3].As<Napi::Boolean>().Value();
  const bool create = info[4].As<Napi::Boolean>().Value();
  const bool unused = info[5].As<Napi::Boolean>().Value();
  const bool materialize = info[6].As<Napi::Boolean>().Value();
  const Ids results = intsFromJs(info[7]);
  const uint32_t trace = info[8].As<Napi::Number>().Uint32Value();
  const uint32_t pass = info[9].As<Napi::Number>().Uint32Value();
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
      const ModeGuard guard(create ? static_cast<uint32_t>(record::Grad) : 0);
      const PassGuard numbered(session, pass);
      if (session.recorder) session.recorder->trace = trace;
      const auto& variables = std::get<0>(leaves);
      auto found = torch::autograd::grad(std::get<0>(roots), variables, std::get<0>(grads), retain, create, unused);
      for (size_t i = 0; i < results.size(); ++i) {
        if (materialize && !found[i].defined()) found[i] = at::zeros_like(variables[i]);
        session.table.put(static_cast<uint32_t>(results[i]), asAssumed(layOut(found[i], variables[i]), create));
      }
    } catch (...) {
      fail(currentFailure("grad", brief(std::get<0>(roots)), trace));
    }
  });
}

// getGrad(ids, results, flags): a result holds nothing where there is no gradient. Flags say what JavaScript assumed:
// 1, the gradient requires one itself; 2, it has the layout of the contract.
void Environment::getGrad(const Info& info) {
  const Ids ids = intsFromJs(info[0]), results = intsFromJs(info[1]), flags = intsFromJs(info[2]);
  Executor::instance().submit(*session_, [=](Session& session) {
    for (size_t i = 0; i < ids.size(); ++i) {
      // A copy: putting the result may move the table.
      const auto slot = session.table.at(static_cast<uint32_t>(ids[i]));
      const auto result = static_cast<uint32_t>(results.at(i));
      if (slot.failure) {
        session.table.poison(result, slot.failure);
        continue;
      }
      if (session.recorder) session.recorder->noteGradient(slot.tensor);
      at::Tensor gradient = slot.tensor.defined() ? slot.tensor.grad() : at::Tensor();
      if (flags.at(i) & 2) {
        // A sum that createGraph made may have another layout. It becomes the gradient itself, so that
        // changing the handle in place still changes the gradient.
        const ModeGuard guard(record::Grad);
        const at::Tensor laid = layOut(gradient, slot.tensor);
        if (!laid.is_same(gradient)) slot.tensor.mutable_grad() = gradient = laid;
      }
      session.table.put(result, asAssumed(gradient, flags.at(i) & 1));
    }
  });
}

// setGrad(ids, gradient): one gradient for one tensor, or 0 to clear those of many.
void Environment::setGrad(const Info& info) {
  const Ids ids = intsFromJs(info[0]);
  const uint32_t gradient = info[1].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [=](Session& session) {
    if (gradient != 0 && session.table.at(gradient).failure) {
      session.unreported = session.table.at(gradient).failure;
      return;
    }
    const at::Tensor value = gradient == 0 ? at::Tensor() : session.table.at(gradient).tensor;
    for (const int64_t id : ids) {
      const auto& tensor = session.table.at(static_cast<uint32_t>(id)).tensor;
      if (session.recorder) session.recorder->noteGradient(tensor);
      if (tensor.defined()) tensor.mutable_grad() = value;
    }
  });
}

// retainGrad(id): keeps the gradient of a tensor that is no leaf.
void Environment::retainGrad(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  Executor::instance().submit(*session_, [id](Session& session) {
    const auto tensor = session.table.at(id).tensor;
    if (!tensor.defined()) return;
    try {
      tensor.retain_grad();
    } catch (...) {
      session.unreported = currentFailure("retainGrad", ld::brief(tensor), 0);
    }
  });
}

// gradientGraph(id): a promise of [{ name, next: places in the list, or -1 }], the node of the tensor first.
Napi::Value Environment::gradientGraph(const Info& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const auto [promise, result] = openPromise(info.Env());
  Executor::instance().submit(*session_, [id, promise = promise](Session& session) {
    const auto& slot = session.table.at(id);
    FailurePtr failure = slot.failure;
    std::vector<GraphNode> nodes;
    if (!failure && slot.tensor.defined()) {
      try {
        constexpr size_t kMost = 10000;
        nodes = graphBehind(slot.tensor, kMost);
      } catch (...) {
        failure = currentFailure("gradFn", ld::brief(slot.tensor), 0);
      }
    }
    if (failure == session.unreported) session.unreported.reset();
    session.complete(Settle::make(promise, std::move(failure), [nodes](Environment&, Napi::Env env) -> Napi::Value {
      auto list = Napi::Array::New(env, nodes.size());
      for (uint32_t i = 0; i < nodes.size(); ++i) {
        auto entry = Napi::Object::New(env);
        define(entry, "name", nodes[i].name);
        define(entry, "next", intsToJs(env, nodes[i].next));
        list.Set(i, entry);
      }
      return list;
    }));
  });
  return result;
}

}  // namespace ld
