#include "runtime/mapped_blocks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace ld {

namespace {

constexpr uint64_t kHugePage = 2u << 20;
constexpr uint64_t kSegment = 64u << 20;
constexpr uint64_t kLeftOver = 64u << 10;  // less is not split off

uint64_t roundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

// Whole pages of a free block, without its header.
std::pair<char*, uint64_t> pagesOf(MappedBlocks::Block* block) {
  static const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const auto begin = roundUp(reinterpret_cast<uint64_t>(block + 1), page);
  const auto end = (reinterpret_cast<uint64_t>(block + 1) + block->bytes) / page * page;
  return {reinterpret_cast<char*>(begin), end > begin ? end - begin : 0};
}

}  // namespace

MappedBlocks::Block* MappedBlocks::take(uint64_t bytes) {
  const auto found = free_.lower_bound({bytes, nullptr});
  if (found == free_.end()) return nullptr;
  Block* block = found->second;
  remove(block);
  split(block, bytes);
  return block;
}

MappedBlocks::Block* MappedBlocks::map(uint64_t bytes) {
  const uint64_t size = std::max(kSegment, roundUp(bytes + sizeof(Block), kHugePage));
  // Huge pages begin at multiples of their size.
  void* const mapped = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto from = reinterpret_cast<uint64_t>(mapped), begin = roundUp(from, kHugePage);
  if (begin > from) munmap(mapped, begin - from);
  if (from + kHugePage > begin) munmap(reinterpret_cast<void*>(begin + size), from + kHugePage - begin);
  madvise(reinterpret_cast<void*>(begin), size, MADV_HUGEPAGE);
  mapped_ += size;
  auto* const block = new (reinterpret_cast<void*>(begin)) Block{size - sizeof(Block), nullptr, nullptr, size, false, false};
  split(block, bytes);
  return block;
}

void MappedBlocks::put(Block* block) {
  if (Block* const after = block->after; after != nullptr && after->free) {
    remove(after);
    join(block);
  }
  if (Block* const before = block->before; before != nullptr && before->free) {
    remove(before);
    join(before);
    block = before;
  }
  block->touched = true;
  add(block);
}

void MappedBlocks::unmapFree() {
  for (auto at = free_.begin(); at != free_.end();) {
    Block* const block = (at++)->second;
    if (block->segmentBytes == 0 || block->after != nullptr) continue;
    remove(block);
    mapped_ -= block->segmentBytes;
    munmap(block, block->segmentBytes);
  }
}

void MappedBlocks::trim() {
  unmapFree();
  for (const auto& [bytes, block] : free_) {
    if (!block->touched) continue;
    const auto [begin, count] = pagesOf(block);
    if (count > 0) madvise(begin, count, MADV_DONTNEED);
    block->touched = false;
  }
  cached_ = 0;
}

void MappedBlocks::add(Block* block) {
  block->free = true;
  if (block->touched) cached_ += block->bytes;
  free_.emplace(block->bytes, block);
}

void MappedBlocks::remove(Block* block) {
  block->free = false;
  if (block->touched) cached_ -= block->bytes;
  free_.erase({block->bytes, block});
}

void MappedBlocks::split(Block* block, uint64_t bytes) {
  if (block->bytes < bytes + sizeof(Block) + kLeftOver) return;
  char* const end = reinterpret_cast<char*>(block + 1) + bytes;
  auto* const rest = new (end) Block{block->bytes - bytes - sizeof(Block), block, block->after, 0, false, block->touched};
  if (rest->after != nullptr) rest->after->before = rest;
  block->after = rest;
  block->bytes = bytes;
  add(rest);
}

void MappedBlocks::join(Block* block) {
  Block* const after = block->after;
  block->bytes += sizeof(Block) + after->bytes;
  block->after = after->after;
  if (block->after != nullptr) block->after->before = block;
}

}  // namespace ld
