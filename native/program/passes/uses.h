// Who reads what in a program, for passes that replace several instructions by one.
#pragma once

#include <string_view>
#include <vector>

#include "program/ir.h"

namespace ld::program {

struct Use {
  size_t instruction;
  size_t operand;
};

class Uses {
 public:
  explicit Uses(const Program& program);

  // In the order of the instructions.
  const std::vector<Use>& of(ValueId value) const { return uses_[value]; }
  // Whether the program must still hold it at its end.
  bool escapes(ValueId value) const { return escapes_[value]; }
  // Whether any instruction writes to its memory, or another value shares it: then it is not what its maker made.
  bool isPlain(ValueId value) const { return plain_[value]; }

 private:
  std::vector<std::vector<Use>> uses_;
  std::vector<bool> escapes_;
  std::vector<bool> plain_;
};

// "aten::silu" for the overload without a name, "aten::add.Tensor" else.
bool isCall(const Instruction& instruction, std::string_view name, std::string_view overload = "");

// The tensor of an operand, kNoValue where it is none.
ValueId tensorOf(const Instruction& instruction, size_t operand);

// An instruction of an operator of our own, with a result for each value (kNoValue for an undefined tensor).
Instruction ownCall(const char* name, std::vector<Operand> operands, const std::vector<ValueId>& results, const Instruction& like);

Operand constantOperand(c10::IValue value);

// Whether both lie in memory in the same way, dense in channels_last or in rows.
bool sameLayout(const Value& a, const Value& b);
bool isDense(const Value& value, bool channelsLast);

// Whether an instruction after `first` and before `last` writes to the memory of the value, or (`orReads`) uses it at all.
bool isTouched(const Program& program, ValueId value, size_t first, size_t last, bool orReads);

// Leaves out the instructions that are marked.
void erase(Program& program, const std::vector<bool>& dead);

}  // namespace ld::program
