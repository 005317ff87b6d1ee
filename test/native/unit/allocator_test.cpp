#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <sys/resource.h>

#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include "check.h"
#include "runtime/cpu_allocator.h"

namespace ld::test {

namespace {

at::Tensor bytes(int64_t count) { return at::empty({count}, at::TensorOptions().dtype(at::kByte)); }

bool holds(const at::Tensor& tensor, uint8_t mark) {
  const auto* data = tensor.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    if (data[i] != mark) return false;
  }
  return true;
}

const Register threads("blocks of many threads never overlap, whoever frees them", [] {
  constexpr int kThreads = 4, kRounds = 1500;
  const uint64_t before = cpuMemory().live;
  std::mutex mutex;
  std::vector<std::pair<at::Tensor, uint8_t>> shared;
  std::atomic<int> wrong{0};
  const auto work = [&](uint32_t seed) {
    std::mt19937 random(seed);
    for (int round = 0; round < kRounds; ++round) {
      const auto mark = static_cast<uint8_t>(random());
      // Small ones of the heap, and some from mapped segments, which are split and merged.
      at::Tensor mine = bytes(random() % 64 == 0 ? (1 << 20) + random() % (6 << 20) : random() % 5000);
      if (mine.numel() > 0) std::memset(mine.mutable_data_ptr(), mark, mine.nbytes());
      std::pair<at::Tensor, uint8_t> other;
      {
        const std::lock_guard lock(mutex);
        shared.emplace_back(std::move(mine), mark);
        if (shared.size() > 40) {
          std::swap(shared[random() % shared.size()], shared.back());
          other = std::move(shared.back());
          shared.pop_back();
        }
      }
      if (other.first.defined() && !holds(other.first, other.second)) ++wrong;
      if (round % 500 == 0) trimCpuCache();
    }
  };
  std::vector<std::thread> all;
  for (uint32_t i = 0; i < kThreads; ++i) all.emplace_back(work, i);
  for (auto& thread : all) thread.join();
  shared.clear();
  check(wrong == 0, std::to_string(wrong) + " blocks were overwritten");
  check(cpuMemory().live == before, "bytes are still counted as live");
});

const Register tooMuch("more than there is fails with libtorch's out-of-memory error", [] {
  for (const int64_t count : {int64_t{1} << 40, int64_t{1} << 50, int64_t{1} << 62}) {
    try {
      bytes(count);
      check(false, std::to_string(count) + " bytes were given");
    } catch (const c10::OutOfMemoryError&) {
    }
  }
});

const Register trim("a trim gives the cached blocks back", [] {
  bytes(4 << 20);
  trimCpuCache();
  check(cpuMemory().cached == 0, "bytes are still cached");
});

const Register aged("a process that is never idle gives back what only its past needed", [] {
  trimCpuCache();
  constexpr int64_t kPeak = 256 << 20;
  {
    const auto peak = bytes(kPeak);
    std::memset(peak.mutable_data_ptr(), 1, peak.nbytes());
  }
  check(cpuMemory().cached >= kPeak, "the peak is not cached at first");
  for (int i = 0; i < 3 << 14; ++i) bytes(64);
  check(cpuMemory().cached < kPeak / 8, std::to_string(cpuMemory().cached) + " bytes are still cached");
});

const Register repeated("what asks again for the same sizes in the same order meets no new page", [] {
  const auto faults = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  // More sizes than any cache by size could hold at once: each lives while the next two are made.
  const auto round = [] {
    std::vector<at::Tensor> live(3);
    for (int64_t i = 0; i < 120; ++i) {
      live[i % 3] = at::Tensor();
      live[i % 3] = bytes((1 << 20) + i * 50000);
      std::memset(live[i % 3].mutable_data_ptr(), 1, live[i % 3].nbytes());
    }
  };
  round();
  const auto before = faults();
  for (int i = 0; i < 3; ++i) round();
  check(faults() - before < 100, std::to_string(faults() - before) + " pages came anew");
  trimCpuCache();
  check(cpuMemory().cached == 0, "bytes are still cached");
});

}  // namespace

}  // namespace ld::test
