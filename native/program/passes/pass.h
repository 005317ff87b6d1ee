// Passes: changes of a program that leave its results as they are, or equal up to rounding where a pass says so.
// One file a pass, in this folder; the table in passes.cpp gives their order and which are on by default. A
// program is passed through them once, when it was recorded.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "program/ir.h"

namespace ld::program {

struct Pass {
  const char* name;
  bool byDefault;
  // Whether anything was changed.
  bool (*run)(Program& program);
};

// All passes, in their order.
const std::vector<Pass>& passes();

// Runs those of passes() that `isOn(pass)` chooses; the names of those that changed something.
std::vector<std::string> runPasses(Program& program, const std::function<bool(const Pass&)>& isOn);

bool dropDeadCode(Program& program);
bool dropIdentities(Program& program);
bool fuseGroupNormSilu(Program& program);
bool useOwnConvolutions(Program& program);
bool convolveUndoubled(Program& program);
bool prepareWeights(Program& program);

}  // namespace ld::program
