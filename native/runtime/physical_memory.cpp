#include "runtime/physical_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace ld {

namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();

// The number in a file of one number; "max", and a file that is not there, are no limit.
uint64_t numberIn(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : kUnknown;
}

// The number after `name` in a file of lines "name number".
uint64_t numberAfter(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    uint64_t value = 0;
    if (word == name) return file >> value ? value : kUnknown;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kUnknown;
}

struct Group {
  const char *limit, *usage, *statistics, *reclaimable;
};

// The control group that a container sees as its root, by version 2 and by version 1.
constexpr Group kGroups[] = {
    {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"},
    {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
     "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
};

// Of a limit on the process tensors leave this much: V8 ends the process where it gets nothing.
constexpr uint64_t kReserve = uint64_t{128} << 20;

// What limits on the process leave: on its address space (ulimit -v) and on its data (ulimit -d).
uint64_t limitsLeft() {
  rlimit space{}, data{};
  getrlimit(RLIMIT_AS, &space);
  getrlimit(RLIMIT_DATA, &data);
  if (space.rlim_cur == RLIM_INFINITY && data.rlim_cur == RLIM_INFINITY) return kUnknown;
  uint64_t size = 0, resident = 0, shared = 0, text = 0, library = 0, dataAndStack = 0;
  std::ifstream pages("/proc/self/statm");
  if (!(pages >> size >> resident >> shared >> text >> library >> dataAndStack)) return kUnknown;
  const auto left = [](const rlimit& limit, uint64_t used) {
    const uint64_t kept = used * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + kReserve;
    return limit.rlim_cur == RLIM_INFINITY ? kUnknown : limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, kept);
  };
  return std::min(left(space, size), left(data, dataAndStack));
}

}  // namespace

PhysicalMemory physicalMemory() {
  const auto kibibytes = [](const char* name) {
    const uint64_t value = numberAfter("/proc/meminfo", name);
    return value == kUnknown ? kUnknown : value * 1024;
  };
  PhysicalMemory memory{kibibytes("MemTotal:"), kibibytes("MemAvailable:")};
  for (const auto& group : kGroups) {
    const uint64_t limit = numberIn(group.limit), usage = numberIn(group.usage);
    // Version 1 writes "no limit" as a number near 2^63.
    if (limit >= memory.total || usage == kUnknown) continue;
    const uint64_t reclaimable = numberAfter(group.statistics, group.reclaimable);
    const uint64_t held = usage - std::min(usage, reclaimable == kUnknown ? 0 : reclaimable);
    memory.total = limit;
    memory.available = std::min(memory.available, limit - std::min(limit, held));
  }
  memory.available = std::min(memory.available, limitsLeft());
  return memory;
}

}  // namespace ld
