// Convolutions by captured weights that the program neither writes to nor differentiates by keep the transformed weights
// from one replay to the next (kernels/conv2d/prepared.h). What others write to the weights is still seen.
#include "program/passes/pass.h"
#include "program/passes/uses.h"

namespace ld::program {

bool prepareWeights(Program& program) {
  std::vector<bool> changes(program.storages.size());
  const auto mark = [&](ValueId value) {
    if (value != kNoValue) changes[program.values[value].storage] = true;
  };
  for (const Instruction& instruction : program.instructions) {
    for (size_t i = 0; i < instruction.operands.size(); ++i) {
      const Operand& operand = instruction.operands[i];
      if (!operand.holdsTensors() || !writes(instruction, i)) continue;
      for (const ValueId value : operand.values) mark(value);
    }
    // The weights of a training change after every step, wherever its optimiser runs.
    if (isCall(instruction, "landmark_diffusion::conv2d_backward")) mark(tensorOf(instruction, 2));
  }
  bool changed = false;
  for (Instruction& instruction : program.instructions) {
    if (!isCall(instruction, "landmark_diffusion::conv2d")) continue;
    const Value& weight = program.values[tensorOf(instruction, 1)];
    if (weight.origin != Value::Origin::Captured || !weight.device.is_cpu() || changes[weight.storage]) continue;
    Instruction prepared = ownCall("landmark_diffusion::conv2d_prepared", instruction.operands, {}, instruction);
    prepared.results = instruction.results;
    instruction = std::move(prepared);
    changed = true;
  }
  return changed;
}

}  // namespace ld::program
