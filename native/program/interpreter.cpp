#include "program/interpreter.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

#include "dispatch/guards/tensors.h"

namespace ld::program {

Interpreter::Interpreter(std::shared_ptr<const Program> program)
    : program_(std::move(program)), plan_(planMemory(*program_)), registers_(program_->values.size()) {
  prepare();
}

void Interpreter::prepare() {
  std::vector<bool> defined(program_->values.size());
  std::set<ValueId> written;
  for (ValueId v = 0; v < program_->values.size(); ++v) {
    const Value& value = program_->values[v];
    defined[v] = value.origin != Value::Origin::Made;
    if (value.origin == Value::Origin::Gradient) gradients_.push_back(v);
    if (value.origin == Value::Origin::Captured) {
      captured_.push_back(v);
      registers_[v] = value.tensor;
    } else if (defined[v] || plan_.lastUse[v] == kNever) {
      left_.push_back(v);
    }
  }
  for (uint32_t i = 0; i < program_->instructions.size(); ++i) {
    const Instruction& instruction = program_->instructions[i];
    const auto firstPush = static_cast<uint32_t>(pushes_.size());
    const auto firstStore = static_cast<uint32_t>(stores_.size());
    preparePushes(instruction, i);
    prepareStores(instruction, i, defined);
    steps_.push_back({firstPush, static_cast<uint32_t>(pushes_.size()) - firstPush, firstStore, instruction.grad,
                      guardOf(instruction.op.operator_name())});
    for (size_t a = 0; a < instruction.operands.size(); ++a) {
      const Operand& operand = instruction.operands[a];
      if (!operand.holdsTensors() || !writes(instruction, a)) continue;
      for (const ValueId value : operand.values) {
        if (value != kNoValue && program_->values[value].origin != Value::Origin::Made) written.insert(value);
      }
    }
  }
  written_.assign(written.begin(), written.end());
}

bool Interpreter::isCaptured(ValueId value) const {
  return value != kNoValue && program_->values[value].origin == Value::Origin::Captured;
}

void Interpreter::preparePushes(const Instruction& instruction, uint32_t place) {
  const auto firstPush = static_cast<uint32_t>(pushes_.size());
  const auto constant = [&](c10::IValue value) {
    pushes_.push_back({Push::Kind::Constant, false, static_cast<uint32_t>(constants_.size())});
    constants_.push_back(std::move(value));
  };
  for (const Operand& operand : instruction.operands) {
    switch (operand.kind) {
      case Operand::Kind::Constant:
        constant(operand.constant);
        break;
      case Operand::Kind::Generator:
        pushes_.push_back({Push::Kind::Generator, false, operand.values[0]});
        break;
      case Operand::Kind::Tensor:
        if (isCaptured(operand.values[0])) {
          constant(program_->values[operand.values[0]].tensor);
        } else {
          pushes_.push_back({Push::Kind::Tensor, false, operand.values[0]});
        }
        break;
      case Operand::Kind::TensorList:
      case Operand::Kind::OptionalTensorList: {
        const bool optional = operand.kind == Operand::Kind::OptionalTensorList;
        const auto captured = [this](ValueId value) { return isCaptured(value); };
        if (!optional && std::all_of(operand.values.begin(), operand.values.end(), captured)) {
          c10::List<at::Tensor> list;
          for (const ValueId value : operand.values) list.push_back(program_->values[value].tensor);
          constant(std::move(list));
          break;
        }
        pushes_.push_back({optional ? Push::Kind::OptionalList : Push::Kind::List, false,
                           static_cast<uint32_t>(elements_.size()), static_cast<uint32_t>(operand.values.size())});
        for (const ValueId value : operand.values) elements_.push_back({value, false});
        break;
      }
    }
  }
  markLast(firstPush, place);
}

// Of a value that the instruction takes several times, the last place lets it go.
void Interpreter::markLast(uint32_t firstPush, uint32_t place) {
  std::set<ValueId> seen;
  const auto isLast = [&](ValueId value) {
    // What belongs to others stays until the end, where its version and gradient are set.
    return value != kNoValue && plan_.lastUse[value] == place &&
           program_->values[value].origin == Value::Origin::Made && seen.insert(value).second;
  };
  for (size_t p = pushes_.size(); p-- > firstPush;) {
    Push& push = pushes_[p];
    if (push.kind == Push::Kind::Tensor) push.last = isLast(push.index);
    if (push.kind != Push::Kind::List && push.kind != Push::Kind::OptionalList) continue;
    for (uint32_t k = push.count; k-- > 0;) {
      Element& element = elements_[push.index + k];
      element.last = isLast(element.value);
    }
  }
}

void Interpreter::prepareStores(const Instruction& instruction, uint32_t place, std::vector<bool>& defined) {
  for (const Result& result : instruction.results) {
    for (const ValueId value : result.values) {
      // What an operator in place returns is in its register already.
      const bool needed = value != kNoValue && !defined[value] && plan_.lastUse[value] > place;
      stores_.push_back(needed ? value : kNoValue);
      if (needed) defined[value] = true;
    }
  }
}

std::vector<at::Tensor> Interpreter::run(const Call& call) {
  failed_ = nullptr;
  try {
    begin(call);
    execute(call);
    auto outputs = end();
    for (const ValueId value : left_) registers_[value].reset();
    return outputs;
  } catch (...) {
    stack_.clear();
    for (ValueId v = 0; v < registers_.size(); ++v) {
      if (!isCaptured(v)) registers_[v].reset();
    }
    throw;
  }
}

void Interpreter::begin(const Call& call) {
  for (size_t i = 0; i < program_->inputs.size(); ++i) {
    if (program_->inputs[i] == kNoValue) continue;
    guards::checkTensor(call.inputs.at(i));
    registers_[program_->inputs[i]] = call.inputs[i];
  }
  for (const GradientState& state : program_->gradientStates) {
    const at::Tensor& owner = registers_[state.owner];
    TORCH_CHECK(owner.grad().defined() == state.defined, "a tensor of shape ", owner.sizes(), " has ",
                state.defined ? "no gradient" : "a gradient",
                " as the program begins, and had ", state.defined ? "one" : "none", " when it was recorded. Clear "
                "gradients at the same place each time, or tell the cases apart by an argument of the program");
  }
  for (const ValueId v : gradients_) registers_[v] = registers_[program_->values[v].index].grad();
  for (const ValueId v : captured_) {
    const Value& value = program_->values[v];
    guards::checkTensor(value.tensor);
    TORCH_CHECK(value.tensor.sizes() == value.sizes && value.tensor.scalar_type() == value.dtype,
                "a tensor that the program captured was ", c10::toString(value.dtype), at::IntArrayRef(value.sizes),
                " and is now ", c10::toString(value.tensor.scalar_type()), value.tensor.sizes(), ": make a new program");
  }
}

void Interpreter::execute(const Call& call) {
  const at::AutoDispatchBelowADInplaceOrView below;
  const at::NoGradGuard restore;
  bool grad = false;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const Instruction& instruction = program_->instructions[i];
    failed_ = &instruction;
    TORCH_CHECK(!call.stop || !call.stop(), "the program was stopped");
    if (step.grad != grad) at::GradMode::set_enabled(grad = step.grad);
    for (uint32_t p = 0; p < step.pushes; ++p) push(pushes_[step.firstPush + p], call);
    if (step.guard != nullptr) checkGuard(step.guard, stack_);
    instruction.op.callBoxed(stack_);
    store(step, instruction);
    stack_.clear();
  }
  failed_ = nullptr;
}

void Interpreter::push(const Push& push, const Call& call) {
  switch (push.kind) {
    case Push::Kind::Constant:
      stack_.push_back(constants_[push.index]);
      break;
    case Push::Kind::Tensor:
      stack_.emplace_back(take({push.index, push.last}));
      break;
    case Push::Kind::List: {
      c10::List<at::Tensor> list;
      list.reserve(push.count);
      for (uint32_t k = 0; k < push.count; ++k) list.push_back(take(elements_[push.index + k]));
      stack_.emplace_back(std::move(list));
      break;
    }
    case Push::Kind::OptionalList: {
      c10::List<std::optional<at::Tensor>> list;
      list.reserve(push.count);
      for (uint32_t k = 0; k < push.count; ++k) {
        const Element& element = elements_[push.index + k];
        list.push_back(element.value == kNoValue ? std::nullopt : std::optional(take(element)));
      }
      stack_.emplace_back(std::move(list));
      break;
    }
    case Push::Kind::Generator:
      stack_.emplace_back(call.generators.at(push.index));
      break;
  }
}

at::Tensor Interpreter::take(const Element& element) {
  if (element.value == kNoValue) return {};
  at::Tensor& held = registers_[element.value];
  return element.last ? std::move(held) : held;
}

void Interpreter::store(const Step& step, const Instruction& instruction) {
  const ValueId* place = stores_.data() + step.firstStore;
  for (size_t r = 0; r < instruction.results.size(); ++r) {
    const Result& result = instruction.results[r];
    if (result.isList) {
      const auto list = stack_[r].toTensorList();
      for (size_t k = 0; k < result.values.size(); ++k, ++place) {
        if (*place != kNoValue) registers_[*place] = list.get(k);
      }
    } else if (!result.values.empty()) {
      if (*place != kNoValue) registers_[*place] = std::move(stack_[r]).toTensor();
      ++place;
    }
  }
}

std::vector<at::Tensor> Interpreter::end() {
  for (const ValueId value : written_) registers_[value].unsafeGetTensorImpl()->bump_version();
  for (const GradientOutput& output : program_->gradientOutputs) {
    registers_[output.owner].mutable_grad() = output.value == kNoValue ? at::Tensor() : registers_[output.value];
  }
  std::vector<at::Tensor> outputs;
  outputs.reserve(program_->outputs.size());
  for (const ValueId value : program_->outputs) {
    const at::Tensor& output = value == kNoValue ? at::Tensor() : registers_[value];
    // A result has no history, and is no parameter.
    outputs.push_back(output.defined() && output.requires_grad() ? output.detach() : output);
  }
  return outputs;
}

}  // namespace ld::program
