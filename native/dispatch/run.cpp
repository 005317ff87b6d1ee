#include "dispatch/run.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <optional>
#include <sstream>

#include "dispatch/cells.h"
#include "program/recorder.h"
#include "runtime/record.h"

namespace ld {

namespace {

using record::getPointer;

struct Cursor {
  const uint32_t* ids;
  const uint32_t* numbers;
};

// Kernels do not look whether a tensor is one.
const at::Tensor& held(const TensorTable::Slot& slot) {
  TORCH_CHECK(slot.tensor.defined(), "an argument holds nothing: a gradient that no backward() reached, or a result that never came");
  return slot.tensor;
}

// The memory of another tensor, to be taken over.
at::Storage storageOf(const at::Tensor& tensor) {
  TORCH_CHECK(!tensor._is_zerotensor(), "a tensor that is zero without memory has none to share; clone it first");
  return tensor.storage();
}

// libtorch takes a number below -2^62 for a symbol, and makes a tensor on the meta device of it whose shape nobody can read.
void checkSizes(const c10::IValue& result) {
  if (!result.isTensor() || !result.toTensor().defined()) return;
  TORCH_CHECK(!result.toTensor().unsafeGetTensorImpl()->has_symbolic_sizes_strides(), "a size, stride or offset is below -2^62");
}

void push(const Site& site, Session& session, Cursor cursor, torch::jit::Stack& stack) {
  for (size_t place = 0; place < site.arguments.size(); ++place) {
    const Site::Argument& argument = site.arguments[place];
    switch (argument.slot) {
      case Site::Slot::Constant:
        stack.push_back(argument.constant);
        break;
      case Site::Slot::Tensor: {
        const uint32_t id = *cursor.ids++;
        if (id == 0) {
          stack.emplace_back();
        } else {
          stack.emplace_back(held(session.table.at(id)));
        }
        break;
      }
      case Site::Slot::TensorList: {
        c10::List<at::Tensor> list;
        list.reserve(argument.count);
        for (uint32_t i = 0; i < argument.count; ++i) list.push_back(session.table.at(*cursor.ids++).tensor);
        stack.emplace_back(std::move(list));
        break;
      }
      case Site::Slot::OptionalTensorList: {
        c10::List<std::optional<at::Tensor>> list;
        list.reserve(argument.count);
        for (uint32_t i = 0; i < argument.count; ++i) {
          const uint32_t id = *cursor.ids++;
          list.push_back(id == 0 ? std::nullopt : std::optional(session.table.at(id).tensor));
        }
        stack.emplace_back(std::move(list));
        break;
      }
      case Site::Slot::Cells: {
        std::vector<at::Tensor> tensors;
        for (uint32_t i = 0; i < argument.count; ++i) tensors.push_back(session.table.at(*cursor.ids++).tensor);
        stack.emplace_back(packCells(site.op.schema().arguments()[place], tensors));
        break;
      }
      case Site::Slot::Double:
        stack.emplace_back(record::getDouble(cursor.numbers));
        cursor.numbers += 2;
        break;
      case Site::Slot::Int:
        stack.emplace_back(static_cast<int64_t>(record::getDouble(cursor.numbers)));
        cursor.numbers += 2;
        break;
      case Site::Slot::Storage:
        stack.emplace_back(storageOf(session.table.at(*cursor.ids++).tensor));
        break;
      case Site::Slot::Generator: {
        const at::Generator* generator = session.table.generator(*cursor.ids++);
        TORCH_CHECK(generator != nullptr, "the generator is gone");
        stack.emplace_back(*generator);
        break;
      }
    }
  }
}

// See record::SkipUndefined. False where nothing is left of the lists.
bool skipUndefined(torch::jit::Stack& stack) {
  std::vector<bool> skip;
  for (const c10::IValue& value : stack) {
    if (!value.isTensorList()) continue;
    const auto list = value.toTensorList();
    skip.resize(std::max(skip.size(), list.size()));
    for (size_t i = 0; i < list.size(); ++i) {
      if (!list.get(i).defined()) skip[i] = true;
    }
  }
  for (c10::IValue& value : stack) {
    if (!value.isTensorList() || value.toTensorList().size() != skip.size()) continue;
    const auto list = value.toTensorList();
    c10::List<at::Tensor> kept;
    for (size_t i = 0; i < skip.size(); ++i) {
      if (!skip[i]) kept.push_back(list.get(i));
    }
    value = std::move(kept);
  }
  return skip.empty() || std::ranges::find(skip, false) != skip.end();
}

std::string describeInputs(Session& session, const uint32_t* ids, uint32_t count) {
  std::ostringstream out;
  constexpr uint32_t kShown = 8;
  for (uint32_t i = 0; i < std::min(count, kShown); ++i) {
    if (i > 0) out << ", ";
    out << (ids[i] == 0 ? "null" : brief(session.table.at(ids[i]).tensor));
  }
  if (count > kShown) out << ", and " << count - kShown << " more";
  return out.str();
}

struct View {
  explicit View(const uint32_t* words)
      : site(*getPointer<const Site>(words + 2)),
        mode(words[4]),
        trace(words[5]),
        inputs(words[6]),
        outputs(words[8]),
        ids(words + record::kOpHeader),
        numbers(ids + inputs),
        outs(numbers + 2 * words[7]) {}
  const Site& site;
  uint32_t mode, trace, inputs, outputs;
  const uint32_t *ids, *numbers, *outs;
};

FailurePtr poisonOf(Session& session, const View& view) {
  for (uint32_t i = 0; i < view.inputs; ++i) {
    if (view.ids[i] == 0) continue;
    if (const FailurePtr& failure = session.table.at(view.ids[i]).failure) return failure;
  }
  return nullptr;
}

// Calls visit(argument, element, id) for each tensor that the op writes to.
template <typename Visit>
void forEachWritten(const View& view, Visit visit) {
  const auto& arguments = view.site.op.schema().arguments();
  const uint32_t* id = view.ids;
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    const uint32_t count = view.site.arguments[i].ids();
    const auto* alias = arguments[i].alias_info();
    if (alias != nullptr && alias->isWrite()) {
      for (uint32_t k = 0; k < count; ++k) visit(i, k, id[k]);
    }
    id += count;
  }
}

Outcome attempt(Session& session, const View& view) {
  if (FailurePtr failure = poisonOf(session, view)) return {{}, std::move(failure), {}};
  if (session.recorder) session.recorder->trace = view.trace;
  torch::jit::Stack stack;
  stack.reserve(view.site.arguments.size());
  try {
    push(view.site, session, {view.ids, view.numbers}, stack);
    // Some operators want at least one tensor; to step none of them is to do nothing.
    const bool left = !(view.mode & record::SkipUndefined) || skipUndefined(stack);
    if (!left && view.site.op.schema().returns().empty()) return {{}, nullptr, {}};
    TORCH_CHECK(view.site.refusal.empty(), "refused, because libtorch does not check it: ", view.site.refusal);
    if (view.site.fillsZeros) fillZeros(view.site.op.schema(), stack);
    checkArguments(view.site.guard, view.site.oneDnn, stack);
    const ModeGuard guard(view.mode);
    if (!view.site.outputs.empty()) separateOutputs(view.site.outputs, stack);
    view.site.op.callBoxed(stack);
    for (const c10::IValue& result : stack) checkSizes(result);
    return {std::move(stack), nullptr, {}};
  } catch (...) {
    const auto& name = view.site.op.schema().operator_name();
    auto failure = currentFailure(c10::toString(name), describeInputs(session, view.ids, view.inputs), view.trace);
    return {{}, std::move(failure), {}};
  }
}

}  // namespace

struct ModeGuard::State {
  std::optional<c10::InferenceMode> inference;
  std::optional<c10::DeviceType> autocast;
};

ModeGuard::ModeGuard(uint32_t mode) : grad_(at::GradMode::is_enabled()) {
  at::GradMode::set_enabled((mode & record::Grad) != 0);
  if ((mode & (record::Inference | record::Autocast)) == 0) return;
  state_ = new State();
  if (mode & record::Inference) state_->inference.emplace(true);
  if (mode & record::Autocast) {
    const auto device = static_cast<c10::DeviceType>((mode >> 16) & 0xff);
    state_->autocast = device;
    at::autocast::set_autocast_dtype(device, static_cast<at::ScalarType>((mode >> 8) & 0xff));
    at::autocast::set_autocast_enabled(device, true);
    at::autocast::increment_nesting();
  }
}

ModeGuard::~ModeGuard() {
  if (state_ != nullptr) {
    if (state_->autocast) {
      at::autocast::set_autocast_enabled(*state_->autocast, false);
      // Cast weights are cached until the region ends; ops of other tasks may come in between and
      // change a weight, so nothing is kept from one op to the next.
      if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    }
    delete state_;
  }
  at::GradMode::set_enabled(grad_);
}

TensorInfo describe(const at::Tensor& tensor) {
  TensorInfo info;
  info.defined = tensor.defined();
  if (!info.defined) return info;
  info.traits = static_cast<uint32_t>(tensor.layout());
  if (tensor.is_nested()) {
    // The first dimension is known; the others may differ from row to row.
    info.traits |= Nested;
    info.shape.assign(static_cast<size_t>(tensor.dim()), -1);
    info.shape[0] = tensor.size(0);
  } else {
    info.shape = tensor.sizes().vec();
    if (tensor.layout() == at::kStrided) info.strides = tensor.strides().vec();
  }
  if (tensor.is_conj()) info.traits |= Conjugated;
  if (tensor.is_neg()) info.traits |= Negated;
  if (tensor._is_zerotensor()) info.traits |= Zero;
  info.dtype = static_cast<int>(tensor.scalar_type());
  info.device = tensor.device().str();
  info.requiresGrad = tensor.requires_grad();
  info.isLeaf = tensor.is_leaf();
  return info;
}

std::string brief(const at::Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  std::ostringstream out;
  out << c10::toString(tensor.scalar_type());
  if (tensor.is_nested()) {
    out << "[nested]";
  } else if (tensor.unsafeGetTensorImpl()->has_symbolic_sizes_strides()) {
    out << "[symbolic]";
  } else {
    out << tensor.sizes();
  }
  if (!tensor.is_cpu()) out << "@" << tensor.device();
  return out.str();
}

void runOp(Session& session, const uint32_t* words) {
  const View view(words);
  const Outcome outcome = attempt(session, view);
  const uint32_t* outs = view.outs;
  if (outcome.failure) {
    for (uint32_t i = 0; i < view.outputs; ++i) session.table.poison(outs[i], outcome.failure);
    // An op in place has no output of its own: what it was to write is what is now wrong.
    forEachWritten(view, [&](uint32_t, uint32_t, uint32_t id) { session.table.poison(id, outcome.failure); });
    session.leaveReport(outcome.failure);
    return;
  }
  for (size_t i = 0; i < outcome.results.size(); ++i) {
    if (view.site.written[i]) continue;
    const c10::IValue& result = outcome.results[i];
    if (result.isTensor()) {
      session.table.put(*outs++, result.toTensor());
    } else if (result.isTensorList()) {
      for (const at::Tensor& tensor : result.toTensorVector()) session.table.put(*outs++, tensor);
    }
  }
}

Outcome runForOutcome(Session& session, const uint32_t* words) {
  const View view(words);
  Outcome outcome = attempt(session, view);
  if (outcome.failure) return outcome;
  forEachWritten(view, [&](uint32_t argument, uint32_t element, uint32_t id) {
    if (id != 0) outcome.written.push_back({argument, element, describe(session.table.at(id).tensor)});
  });
  return outcome;
}

}  // namespace ld
