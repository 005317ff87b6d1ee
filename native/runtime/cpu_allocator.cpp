#include "runtime/cpu_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/guard_pages.h"
#include "runtime/mapped_blocks.h"
#include "runtime/physical_memory.h"

namespace ld {

namespace {

// Stands before every small block, so that it can be freed by whoever holds its pointer.
struct alignas(64) Header {
  uint64_t bytes;  // usable, the size of its class
};
static_assert(sizeof(Header) == sizeof(MappedBlocks::Block) && offsetof(MappedBlocks::Block, bytes) == 0);

constexpr uint64_t kSmallest = 64;
constexpr uint64_t kMapped = 1u << 20;     // from here on cut from mapped segments, which a trim gives back
constexpr uint64_t kLooked = 64u << 20;    // from here on the system is asked whether there is as much
constexpr uint64_t kSmallKept = 32u << 20; // bytes of small blocks that are kept however little is in use
constexpr uint32_t kWindow = 1u << 14;     // blocks that are taken until a peak belongs to the past, and again until it counts no more
constexpr uint32_t kSteps = 8;             // classes a power of two: at most 12.5 % is wasted

// Rounds a small size up to its class and names that.
std::pair<uint64_t, uint32_t> classOf(uint64_t bytes) {
  bytes = std::max(bytes, kSmallest);
  const uint64_t power = std::bit_floor(bytes);
  const uint64_t step = std::max<uint64_t>(power / kSteps, 1);
  const uint64_t over = (bytes - power + step - 1) / step;
  return {power + over * step, static_cast<uint32_t>(std::countr_zero(power)) * kSteps + static_cast<uint32_t>(over)};
}

uint64_t sizeOf(uint64_t bytes) { return bytes < kMapped ? classOf(bytes).first : (bytes + 63) / 64 * 64; }

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    void* data = take(bytes);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }

  CpuMemory memory() {
    std::lock_guard lock(mutex_);
    return {live_, peak_, smallCached_ + mapped_.cachedBytes()};
  }

  void resetPeak() {
    std::lock_guard lock(mutex_);
    peak_ = live_;
  }

  uint64_t held() {
    std::lock_guard lock(mutex_);
    return std::exchange(least_, live_);
  }

  void trim() {
    std::lock_guard lock(mutex_);
    trimLocked();
  }

 private:
  void* take(uint64_t bytes) {
    // Before the size is rounded up, which would overflow.
    if (bytes > total_) outOfMemory(bytes, total_);
    const uint64_t size = sizeOf(bytes);
    std::lock_guard lock(mutex_);
    age();
    // Tensors that nobody has written to yet take no memory yet.
    if (live_ + size > total_) outOfMemory(bytes, total_ - std::min(total_, live_));
    void* block = find(size);
    if (block == nullptr) {
      trimLocked();
      block = find(size);
    }
    if (block == nullptr) outOfMemory(bytes, physicalMemory().available);
    live_ += static_cast<Header*>(block)->bytes;
    peak_ = std::max(peak_, live_);
    busiest_ = std::max(busiest_, live_);
    recent_ = std::max(recent_, live_);
    return static_cast<Header*>(block) + 1;
  }

  [[noreturn]] static void outOfMemory(uint64_t bytes, uint64_t left) {
    C10_THROW_ERROR(OutOfMemoryError, c10::str("cpu: wanted ", bytes, " bytes for one tensor, there are ", left));
  }

  void* find(uint64_t size) {
    if (size < kMapped) return small(size);
    return large(size);
  }

  Header* small(uint64_t size) {
    auto& blocks = free_[classOf(size).second];
    if (!blocks.empty()) {
      Header* const block = blocks.back();
      blocks.pop_back();
      smallCached_ -= size;
      return block;
    }
    auto* const block = static_cast<Header*>(std::aligned_alloc(64, (size + sizeof(Header) + 63) / 64 * 64));
    if (block != nullptr) block->bytes = size;
    return block;
  }

  MappedBlocks::Block* large(uint64_t size) {
    auto* const block = mapped_.take(size);
    const bool fits = size < kLooked || (block != nullptr && block->touched) || size <= physicalMemory().available;
    if (block != nullptr && !fits) mapped_.put(block);
    if (!fits) return nullptr;
    if (block != nullptr) return block;
    // Free segments that are too small now would add up where sizes grow.
    if (mapped_.mappedBytes() + size > 2 * (busiest_ + size)) mapped_.unmapFree();
    return mapped_.map(size);
  }

  // A process that is never idle must not keep for good what its busiest moment needed.
  void age() {
    if (++taken_ < kWindow) return;
    taken_ = 0;
    busiest_ = std::exchange(recent_, live_);
    if (live_ + smallCached_ + mapped_.cachedBytes() > 2 * busiest_ + kSmallKept) trimLocked();
  }

  void trimLocked() {
    busiest_ = live_;
    mapped_.trim();
    for (auto& blocks : free_) {
      for (Header* block : blocks) std::free(block);
      blocks.clear();
    }
    smallCached_ = 0;
    // malloc keeps what is not at the end of its heap.
    malloc_trim(0);
  }

  void put(Header* block) {
    std::lock_guard lock(mutex_);
    live_ -= block->bytes;
    least_ = std::min(least_, live_);
    if (block->bytes >= kMapped) {
      mapped_.put(reinterpret_cast<MappedBlocks::Block*>(block));
    } else if (smallCached_ + block->bytes > kSmallKept + busiest_ / 4) {
      std::free(block);
    } else {
      smallCached_ += block->bytes;
      free_[classOf(block->bytes).second].push_back(block);
    }
  }

  static void release(void* data);

  const uint64_t total_ = physicalMemory().total;
  std::mutex mutex_;
  MappedBlocks mapped_;
  std::array<std::vector<Header*>, (std::bit_width(kMapped) + 1) * kSteps> free_;  // small ones, by class
  uint64_t live_ = 0;
  uint64_t peak_ = 0;
  uint64_t busiest_ = 0;  // most that `live_` was in this window and the one before, or since the last trim
  uint64_t recent_ = 0;   // most that it was in this window
  uint32_t taken_ = 0;    // blocks taken in this window
  uint64_t least_ = 0;
  uint64_t smallCached_ = 0;  // bytes in free_
};

// Leaked: tensors may outlive every static.
CachingAllocator& allocator() {
  static CachingAllocator* const instance = new CachingAllocator();
  return *instance;
}

void (*releaseOthers)() = nullptr;

void CachingAllocator::release(void* data) {
  if (data != nullptr) allocator().put(static_cast<Header*>(data) - 1);
}

}  // namespace

void installCpuAllocator() {
  c10::SetCPUAllocator(wantsGuardPages() ? &guardPageAllocator() : &allocator(), /*priority=*/10);
}

CpuMemory cpuMemory() { return allocator().memory(); }

void resetCpuPeak() { allocator().resetPeak(); }

uint64_t cpuMemoryHeld() { return allocator().held(); }

void trimCpuCache() {
  if (releaseOthers != nullptr) releaseOthers();
  allocator().trim();
}

void onCpuTrim(void (*release)()) { releaseOthers = release; }

}  // namespace ld
