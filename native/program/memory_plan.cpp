#include "program/memory_plan.h"

#include <algorithm>

namespace ld::program {

MemoryPlan planMemory(const Program& program) {
  MemoryPlan plan;
  const auto count = static_cast<uint32_t>(program.instructions.size());
  plan.lastUse.assign(program.values.size(), 0);
  for (uint32_t i = 0; i < count; ++i) {
    const auto mark = [&](ValueId value) { plan.lastUse[value] = i; };
    forEachUse(program.instructions[i], mark);
    forEachResult(program.instructions[i], mark);
  }
  forEachEscaping(program, [&](ValueId value) { plan.lastUse[value] = kNever; });

  // A storage lives from the first value on it to the last use of any.
  struct Life {
    uint32_t from = kNever;
    uint32_t to = 0;
    bool made = false;
  };
  std::vector<Life> lives(program.storages.size());
  std::vector<bool> outside(program.storages.size()), captured(program.storages.size());
  for (const Value& value : program.values) {
    if (value.origin != Value::Origin::Made) outside[value.storage] = true;
    if (value.origin == Value::Origin::Captured) captured[value.storage] = true;
  }
  for (uint32_t i = 0; i < count; ++i) {
    forEachResult(program.instructions[i], [&](ValueId value) {
      Life& life = lives[program.values[value].storage];
      life.from = std::min(life.from, i);
      life.to = std::max(life.to, plan.lastUse[value]);
    });
  }
  std::vector<int64_t> change(static_cast<size_t>(count) + 2, 0);
  for (size_t s = 0; s < lives.size(); ++s) {
    const auto bytes = static_cast<int64_t>(program.storages[s].bytes);
    if (captured[s]) plan.capturedBytes += program.storages[s].bytes;
    if (outside[s] || lives[s].from == kNever) continue;
    plan.madeBytes += program.storages[s].bytes;
    change[lives[s].from] += bytes;
    change[std::min(lives[s].to, count) + 1] -= bytes;
  }
  int64_t live = 0, peak = 0;
  for (const int64_t delta : change) {
    live += delta;
    peak = std::max(peak, live);
  }
  plan.peakBytes = static_cast<size_t>(peak);
  return plan;
}

}  // namespace ld::program
