#include "program/passes/uses.h"

#include <algorithm>

namespace ld::program {

Uses::Uses(const Program& program) : uses_(program.values.size()), escapes_(program.values.size()), plain_(program.values.size(), true) {
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    for (size_t k = 0; k < instruction.operands.size(); ++k) {
      if (!instruction.operands[k].holdsTensors()) continue;
      for (const ValueId value : instruction.operands[k].values) {
        if (value == kNoValue) continue;
        uses_[value].push_back({i, k});
        if (writes(instruction, k)) plain_[value] = false;
      }
    }
  }
  forEachEscaping(program, [&](ValueId value) { escapes_[value] = true; });
  std::vector<uint32_t> names(program.storages.size());
  for (const Value& value : program.values) ++names[value.storage];
  for (size_t i = 0; i < program.values.size(); ++i) plain_[i] = plain_[i] && names[program.values[i].storage] == 1;
}

bool isCall(const Instruction& instruction, std::string_view name, std::string_view overload) {
  const auto& found = instruction.op.operator_name();
  return found.name == name && found.overload_name == overload;
}

ValueId tensorOf(const Instruction& instruction, size_t operand) {
  const Operand& found = instruction.operands[operand];
  return found.kind == Operand::Kind::Tensor ? found.values[0] : kNoValue;
}

Instruction ownCall(const char* name, std::vector<Operand> operands, const std::vector<ValueId>& results, const Instruction& like) {
  Instruction made{c10::Dispatcher::singleton().findSchemaOrThrow(name, ""), std::move(operands), {}, like.grad, like.trace};
  for (const ValueId value : results) made.results.push_back({false, {value}});
  return made;
}

Operand constantOperand(c10::IValue value) {
  Operand operand;
  operand.constant = std::move(value);
  return operand;
}

bool sameLayout(const Value& a, const Value& b) { return a.sizes == b.sizes && a.strides == b.strides; }

bool isDense(const Value& value, bool channelsLast) {
  if (channelsLast && value.sizes.size() != 4) return false;
  std::vector<size_t> order;
  for (size_t i = value.sizes.size(); i-- > 0;) order.push_back(i);
  if (channelsLast) order = {1, 3, 2, 0};
  int64_t stride = 1;
  for (const size_t dim : order) {
    if (value.sizes[dim] != 1 && value.strides[dim] != stride) return false;
    stride *= value.sizes[dim];
  }
  return true;
}

bool isTouched(const Program& program, ValueId value, size_t first, size_t last, bool orReads) {
  const uint32_t storage = program.values[value].storage;
  for (size_t i = first + 1; i < last; ++i) {
    const Instruction& instruction = program.instructions[i];
    for (size_t k = 0; k < instruction.operands.size(); ++k) {
      if (!instruction.operands[k].holdsTensors() || !(orReads || writes(instruction, k))) continue;
      for (const ValueId used : instruction.operands[k].values) {
        if (used != kNoValue && program.values[used].storage == storage) return true;
      }
    }
  }
  return false;
}

void erase(Program& program, const std::vector<bool>& dead) {
  size_t i = 0;
  std::erase_if(program.instructions, [&](const Instruction&) { return dead[i++]; });
}

}  // namespace ld::program
