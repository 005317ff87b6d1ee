// Leaves out views that are what they view: detach() below autograd, view() and expand() to the same shape.
#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "program/passes/pass.h"

namespace ld::program {

namespace {

constexpr std::array<std::string_view, 12> kViews{
    "aten::detach", "aten::alias",  "aten::view",      "aten::_unsafe_view", "aten::_reshape_alias", "aten::expand",
    "aten::slice",  "aten::permute", "aten::transpose", "aten::squeeze",      "aten::as_strided",     "aten::lift_fresh"};

bool isIdentity(const Program& program, const Instruction& instruction) {
  if (std::find(kViews.begin(), kViews.end(), instruction.op.operator_name().name) == kViews.end()) return false;
  const Value& from = program.values[instruction.operands[0].values[0]];
  const Value& to = program.values[instruction.results[0].values[0]];
  return to.origin == Value::Origin::Made && from.storage == to.storage && from.sizes == to.sizes &&
         from.strides == to.strides && from.offset == to.offset && from.dtype == to.dtype;
}

}  // namespace

bool dropIdentities(Program& program) {
  // Shapes that change in place (squeeze_) would change under both names.
  std::vector<bool> fixed(program.values.size(), true);
  for (const Instruction& instruction : program.instructions) {
    if (!instruction.op.hasTag(at::Tag::inplace_view)) continue;
    forEachUse(instruction, [&](ValueId value) { fixed[value] = false; });
  }
  // Results are tensors of their own, not other names of what was given or captured.
  forEachEscaping(program, [&](ValueId value) { fixed[value] = false; });

  std::vector<ValueId> name(program.values.size());
  std::iota(name.begin(), name.end(), 0u);
  const size_t dropped = std::erase_if(program.instructions, [&](Instruction& instruction) {
    for (Operand& operand : instruction.operands) {
      if (!operand.holdsTensors()) continue;
      for (ValueId& value : operand.values) {
        if (value != kNoValue) value = name[value];
      }
    }
    for (Result& result : instruction.results) {
      for (ValueId& value : result.values) {
        if (value != kNoValue) value = name[value];
      }
    }
    if (!isIdentity(program, instruction)) return false;
    const ValueId from = instruction.operands[0].values[0], to = instruction.results[0].values[0];
    if (!fixed[from] || !fixed[to]) return false;
    name[to] = from;
    return true;
  });
  return dropped > 0;
}

}  // namespace ld::program
