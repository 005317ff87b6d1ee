// Group norm followed by SiLU, and their backward, become one operator each (kernels/group_norm_silu): half of the
// passes over memory. Equal up to rounding.
#include "program/passes/pass.h"
#include "program/passes/uses.h"

namespace ld::program {

namespace {

// A group norm, the SiLU of its result, and the backward of both, where they are.
struct Match {
  size_t norm = 0, silu = 0;
  std::vector<std::pair<size_t, size_t>> backward;  // silu_backward and the native_group_norm_backward that reads it
};

// native_group_norm(input, weight?, bias?, N, C, HxW, group, eps) -> (out, mean, rstd)
bool matches(const Program& program, const Uses& uses, size_t at, Match& match) {
  const Instruction& norm = program.instructions[at];
  if (!isCall(norm, "aten::native_group_norm")) return false;
  const ValueId x = tensorOf(norm, 0), y = norm.results[0].values[0], mean = norm.results[1].values[0], rstd = norm.results[2].values[0];
  if (y == kNoValue || mean == kNoValue || rstd == kNoValue || uses.escapes(y) || !uses.isPlain(y)) return false;
  const Value& input = program.values[x];
  const auto statistics = input.dtype == at::kDouble ? at::kDouble : at::kFloat;
  if (program.values[mean].dtype != statistics || !(isDense(input, false) || isDense(input, true))) return false;
  match = {at, 0, {}};
  bool found = false;
  for (const Use& use : uses.of(y)) {
    const Instruction& user = program.instructions[use.instruction];
    if (isCall(user, "aten::silu") && !found) {
      match.silu = use.instruction;
      found = sameLayout(program.values[user.results[0].values[0]], input);
      if (!found) return false;
      continue;
    }
    // silu_backward(grad_output, self)
    if (!isCall(user, "aten::silu_backward") || use.operand != 1) return false;
    const ValueId dv = user.results[0].values[0];
    if (uses.escapes(dv) || !uses.isPlain(dv) || uses.of(dv).size() != 1 || tensorOf(user, 0) == kNoValue) return false;
    // native_group_norm_backward(grad_out, input, mean, rstd, weight?, N, C, HxW, group, output_mask) -> (dx, dweight, dbias)
    const Use& next = uses.of(dv)[0];
    const Instruction& backward = program.instructions[next.instruction];
    if (!isCall(backward, "aten::native_group_norm_backward") || next.operand != 0 || tensorOf(backward, 1) != x ||
        tensorOf(backward, 2) != mean || tensorOf(backward, 3) != rstd) {
      return false;
    }
    const ValueId dx = backward.results[0].values[0];
    if (dx != kNoValue && !sameLayout(program.values[dx], input)) return false;
    match.backward.emplace_back(use.instruction, next.instruction);
  }
  return found;
}

}  // namespace

bool fuseGroupNormSilu(Program& program) {
  const Uses uses(program);
  std::vector<bool> dead(program.instructions.size());
  bool changed = false;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    Match match;
    if (!matches(program, uses, i, match)) continue;
    changed = true;
    const Instruction norm = program.instructions[i];
    const Operand &x = norm.operands[0], &weight = norm.operands[1], &bias = norm.operands[2], &groups = norm.operands[6];
    const ValueId y = program.instructions[match.silu].results[0].values[0];
    program.instructions[i] = ownCall("landmark_diffusion::group_norm_silu", {x, weight, bias, groups, norm.operands[7]},
                                      {y, norm.results[1].values[0], norm.results[2].values[0]}, norm);
    dead[match.silu] = true;
    for (const auto& [silu, backward] : match.backward) {
      const Instruction before = program.instructions[backward];
      program.instructions[backward] =
          ownCall("landmark_diffusion::group_norm_silu_backward",
                  {program.instructions[silu].operands[0], x, before.operands[2], before.operands[3], weight, bias, groups, before.operands[9]},
                  {before.results[0].values[0], before.results[1].values[0], before.results[2].values[0]}, before);
      dead[silu] = true;
    }
  }
  erase(program, dead);
  return changed;
}

}  // namespace ld::program
