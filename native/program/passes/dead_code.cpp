// Leaves out instructions whose results nobody uses.
#include <algorithm>

#include "program/passes/pass.h"

namespace ld::program {

bool dropDeadCode(Program& program) {
  std::vector<bool> needed(program.values.size());
  const auto need = [&](ValueId value) { needed[value] = true; };
  forEachEscaping(program, need);
  std::vector<bool> dead(program.instructions.size());
  for (size_t i = program.instructions.size(); i-- > 0;) {
    const Instruction& instruction = program.instructions[i];
    bool used = !isPure(instruction);
    forEachResult(instruction, [&](ValueId value) { used |= needed[value]; });
    dead[i] = !used;
    if (used) forEachUse(instruction, need);
  }
  size_t i = 0;
  return std::erase_if(program.instructions, [&](const Instruction&) { return dead[i++]; }) > 0;
}

}  // namespace ld::program
