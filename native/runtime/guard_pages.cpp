#include "runtime/guard_pages.h"

#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <unordered_map>

namespace ld {

namespace {

// What kernels may rely on. Up to as many bytes behind a block are no guard page; they hold a pattern.
constexpr uintptr_t kAlignment = 16;
constexpr unsigned char kPattern = 0xa5;
constexpr size_t kFilled = 1 << 16;    // bytes of a fresh block that hold the pattern
constexpr size_t kQuarantined = 2000;  // blocks that stay untouchable after they were freed

size_t pageSize() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// Pages [begin, begin + pages), then one that is untouchable; the tensor's bytes end there.
struct Block {
  char* begin;
  size_t pages;
  char* data;
  size_t bytes;
};

class GuardPageAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    const Block block = map(bytes);
    std::lock_guard lock(mutex_);
    blocks_.emplace(block.data, block);
    return {block.data, block.data, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  static void release(void* data);

  void free(void* data) {
    std::lock_guard lock(mutex_);
    const auto found = blocks_.find(data);
    const Block block = found->second;
    blocks_.erase(found);
    check(block);
    mprotect(block.begin, block.pages, PROT_NONE);
    madvise(block.begin, block.pages, MADV_DONTNEED);
    quarantine_.push_back(block);
    if (quarantine_.size() <= kQuarantined) return;
    munmap(quarantine_.front().begin, quarantine_.front().pages + pageSize());
    quarantine_.pop_front();
  }

  static Block map(size_t bytes) {
    const size_t page = pageSize();
    TORCH_CHECK(bytes < (size_t{1} << 46), "cpu: wanted ", bytes, " bytes for one tensor");
    const size_t pages = (bytes + page - 1) / page * page;
    void* begin = mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) C10_THROW_ERROR(OutOfMemoryError, c10::str("cpu: wanted ", bytes, " bytes for one tensor"));
    auto* const first = static_cast<char*>(begin);
    mprotect(first + pages, page, PROT_NONE);
    auto* const data = first + (pages - bytes) / kAlignment * kAlignment;
    const Block block{first, pages, data, bytes};
    std::memset(first, kPattern, static_cast<size_t>(data - first));
    std::memset(data + bytes, kPattern, static_cast<size_t>(first + pages - (data + bytes)));
    // What nobody wrote yet is no zero: an index that is read before it is written is a wild one.
    std::memset(data, kPattern, std::min(bytes, kFilled));
    return block;
  }

  static void check(const Block& block) {
    const auto intact = [](const char* from, const char* to) {
      for (; from < to; ++from) {
        if (static_cast<unsigned char>(*from) != kPattern) return false;
      }
      return true;
    };
    const char* const end = block.data + block.bytes;
    if (intact(block.begin, block.data) && intact(end, block.begin + block.pages)) return;
    std::fprintf(stderr, "guard pages: something wrote beside a tensor's %zu bytes\n", block.bytes);
    std::abort();
  }

  std::mutex mutex_;
  // Beside the blocks, not in them, where a kernel could overwrite it.
  std::unordered_map<void*, Block> blocks_;
  std::deque<Block> quarantine_;
};

GuardPageAllocator& instance() {
  static auto* const allocator = new GuardPageAllocator();
  return *allocator;
}

void GuardPageAllocator::release(void* data) {
  if (data != nullptr) instance().free(data);
}

}  // namespace

bool wantsGuardPages() {
  const char* const wanted = std::getenv("LANDMARK_DIFFUSION_GUARD_PAGES");
  return wanted != nullptr && std::strcmp(wanted, "1") == 0;
}

c10::Allocator& guardPageAllocator() { return instance(); }

}  // namespace ld
