#include "runtime/cpu_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/guard_pages.h"
#include "runtime/physical_memory.h"

namespace ld {

namespace {

// Stands before every block, so that a block can be freed by whoever holds its pointer.
struct alignas(64) Header {
  uint64_t bytes;  // usable, the size of its class
  uint32_t sizeClass;
};
static_assert(sizeof(Header) == 64);

constexpr uint64_t kSmallest = 64;
constexpr uint64_t kMapped = 1u << 20;    // from here on straight from mmap, so that a trim returns it
constexpr uint64_t kHugePage = 4u << 20;  // from here on transparent huge pages are asked for
constexpr uint64_t kLooked = 64u << 20;   // from here on the system is asked whether there is as much
constexpr uint32_t kSteps = 8;            // classes a power of two: at most 12.5 % is wasted

// Rounds up to a size class and names it.
std::pair<uint64_t, uint32_t> classOf(uint64_t bytes) {
  bytes = std::max(bytes, kSmallest);
  const uint64_t power = std::bit_floor(bytes);
  const uint64_t step = std::max<uint64_t>(power / kSteps, 1);
  const uint64_t over = (bytes - power + step - 1) / step;
  return {power + over * step, static_cast<uint32_t>(std::countr_zero(power)) * kSteps + static_cast<uint32_t>(over)};
}

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
    return {live_, peak_, cached_};
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
    busiest_ = live_;
    for (auto& blocks : free_) {
      for (Header* block : blocks) give(block);
      blocks.clear();
    }
    cached_ = 0;
    // Small blocks are malloc's, which keeps what is not at the end of its heap.
    malloc_trim(0);
  }

 private:
  void* take(uint64_t bytes) {
    // Before the size is rounded up, which would overflow.
    if (bytes > total_) outOfMemory(bytes, total_);
    const auto [size, sizeClass] = classOf(bytes);
    {
      std::lock_guard lock(mutex_);
      // Tensors that nobody has written to yet take no memory yet.
      if (live_ + size > total_) outOfMemory(bytes, total_ - std::min(total_, live_));
      live_ += size;
      peak_ = std::max(peak_, live_);
      busiest_ = std::max(busiest_, live_);
      auto& blocks = free_[sizeClass];
      if (!blocks.empty()) {
        Header* block = blocks.back();
        blocks.pop_back();
        cached_ -= size;
        return block + 1;
      }
    }
    Header* block = freshWithin(size);
    if (block == nullptr) {
      trim();
      block = freshWithin(size);
    }
    if (block == nullptr) {
      std::lock_guard lock(mutex_);
      live_ -= size;
      outOfMemory(bytes, physicalMemory().available);
    }
    block->bytes = size;
    block->sizeClass = sizeClass;
    return block + 1;
  }

  [[noreturn]] static void outOfMemory(uint64_t bytes, uint64_t left) {
    C10_THROW_ERROR(OutOfMemoryError, c10::str("cpu: wanted ", bytes, " bytes for one tensor, there are ", left));
  }

  // A fresh block, or nullptr where it would not fit into what is left.
  static Header* freshWithin(uint64_t size) {
    return size >= kLooked && size > physicalMemory().available ? nullptr : fresh(size);
  }

  static Header* fresh(uint64_t size) {
    const uint64_t whole = size + sizeof(Header);
    if (size < kMapped) return static_cast<Header*>(std::aligned_alloc(64, (whole + 63) / 64 * 64));
    void* pages = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    if (size >= kHugePage) madvise(pages, whole, MADV_HUGEPAGE);
    return static_cast<Header*>(pages);
  }

  static void give(Header* block) {
    if (block->bytes < kMapped) {
      std::free(block);
    } else {
      munmap(block, block->bytes + sizeof(Header));
    }
  }

  void put(Header* block) {
    std::lock_guard lock(mutex_);
    live_ -= block->bytes;
    least_ = std::min(least_, live_);
    // More than the busiest moment needed will not be asked for again.
    if (live_ + cached_ + block->bytes > busiest_ + busiest_ / 4) {
      give(block);
      return;
    }
    cached_ += block->bytes;
    free_[block->sizeClass].push_back(block);
  }

  static void release(void* data);

  const uint64_t total_ = physicalMemory().total;
  std::mutex mutex_;
  std::array<std::vector<Header*>, 64 * kSteps + kSteps + 1> free_;
  uint64_t live_ = 0;
  uint64_t peak_ = 0;
  uint64_t busiest_ = 0;  // most that `live_` was since the last trim
  uint64_t least_ = 0;
  uint64_t cached_ = 0;
};

// Leaked: tensors may outlive every static.
CachingAllocator& allocator() {
  static CachingAllocator* const instance = new CachingAllocator();
  return *instance;
}

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

void trimCpuCache() { allocator().trim(); }

}  // namespace ld
