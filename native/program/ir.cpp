#include "program/ir.h"

#include <ATen/core/Formatting.h>

#include <sstream>

namespace ld::program {

namespace {

void printKind(std::ostream& out, const Value& value) {
  out << c10::getDtypeNames(value.dtype).first << at::IntArrayRef(value.sizes);
  if (!value.device.is_cpu()) out << "@" << value.device;
}

void printConstant(std::ostream& out, const c10::IValue& constant) {
  if (constant.isTensor()) {
    out << "undefined";
  } else if (constant.isGenerator()) {
    out << "generator";
  } else if (constant.isDouble()) {
    // Floats print with a point, so that 1 and 1.0 differ.
    std::ostringstream number;
    number.precision(17);
    number << constant.toDouble();
    out << number.str();
    if (number.str().find_first_of(".en") == std::string::npos) out << ".0";
  } else {
    out << constant;
  }
}

void printOperand(std::ostream& out, const Operand& operand) {
  const auto name = [&](ValueId value) {
    if (value == kNoValue) {
      out << "none";
    } else {
      out << '%' << value;
    }
  };
  switch (operand.kind) {
    case Operand::Kind::Constant:
      printConstant(out, operand.constant);
      break;
    case Operand::Kind::Tensor:
      name(operand.values[0]);
      break;
    case Operand::Kind::Generator:
      out << "generator " << operand.values[0];
      break;
    default:
      out << '[';
      for (size_t i = 0; i < operand.values.size(); ++i) {
        if (i > 0) out << ", ";
        name(operand.values[i]);
      }
      out << ']';
  }
}

void printInstruction(std::ostream& out, const Program& program, const Instruction& instruction) {
  bool first = true;
  const auto& schema = instruction.op.schema();
  for (size_t i = 0; i < instruction.results.size(); ++i) {
    // What is written in place has its name already.
    const auto* alias = schema.returns()[i].alias_info();
    if (alias != nullptr && alias->isWrite()) continue;
    for (const ValueId value : instruction.results[i].values) {
      if (value == kNoValue) continue;
      out << (first ? "" : ", ") << '%' << value << ": ";
      printKind(out, program.values[value]);
      first = false;
    }
  }
  if (!first) out << " = ";
  out << schema.operator_name() << '(';
  const auto& arguments = schema.arguments();
  first = true;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto& operand = instruction.operands[i];
    const auto& fallback = arguments[i].default_value();
    if (operand.kind == Operand::Kind::Constant && fallback && !fallback->isTensor() &&
        (fallback->isNone() ? operand.constant.isNone()
                            : fallback->tagKind() == operand.constant.tagKind() && *fallback == operand.constant)) {
      continue;
    }
    if (!first) out << ", ";
    first = false;
    if (arguments[i].kwarg_only()) out << arguments[i].name() << '=';
    printOperand(out, operand);
  }
  out << ')';
}

}  // namespace

bool writes(const Instruction& instruction, size_t index) {
  const auto* alias = instruction.op.schema().arguments()[index].alias_info();
  return alias != nullptr && alias->isWrite();
}

bool isPure(const Instruction& instruction) {
  if (instruction.op.schema().is_mutable()) return false;
  return !instruction.op.hasTag(at::Tag::nondeterministic_seeded);
}

std::string print(const Program& program, const std::vector<std::string>& lines) {
  std::ostringstream out;
  const auto declare = [&](ValueId value, const char* what) {
    out << '%' << value << ": ";
    printKind(out, program.values[value]);
    out << " = " << what << '\n';
  };
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    if (program.inputs[i] != kNoValue) declare(program.inputs[i], ("input " + std::to_string(i)).c_str());
  }
  for (ValueId v = 0; v < program.values.size(); ++v) {
    const Value& value = program.values[v];
    if (value.origin == Value::Origin::Captured) declare(v, "captured");
    if (value.origin == Value::Origin::Gradient) declare(v, ("gradient of %" + std::to_string(value.index)).c_str());
  }
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    printInstruction(out, program, program.instructions[i]);
    if (i < lines.size() && !lines[i].empty()) out << "  # " << lines[i];
    out << '\n';
  }
  for (const GradientOutput& output : program.gradientOutputs) {
    out << "gradient of %" << output.owner << " = ";
    if (output.value == kNoValue) {
      out << "none\n";
    } else {
      out << '%' << output.value << '\n';
    }
  }
  out << "return ";
  for (size_t i = 0; i < program.outputs.size(); ++i) out << (i > 0 ? ", " : "") << '%' << program.outputs[i];
  out << '\n';
  return out.str();
}

}  // namespace ld::program
