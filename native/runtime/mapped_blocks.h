// Large blocks of memory, cut from segments that are mapped straight from the system. A free block is merged with its
// free neighbours, and the smallest that fits is taken (best fit with boundary tags: Knuth, volume 1, section 2.5), so
// that a step of a training, which asks for the same sizes in the same order, finds its memory where it was.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

namespace ld {

// Not safe against threads: the caller locks.
class MappedBlocks {
 public:
  // Stands before the memory that is handed out; the size is without it.
  struct alignas(64) Block {
    uint64_t bytes;
    Block* before;  // neighbours in the segment, or null
    Block* after;
    uint64_t segmentBytes;  // of the segment that begins here, else 0
    bool free;
    bool touched;  // whether it was in use since it was mapped or trimmed, so that there are pages behind it
  };

  // A block of at least that many bytes (a multiple of 64), or null where nothing fits that the segments have.
  Block* take(uint64_t bytes);

  // The same from a new segment; null where the system has none.
  Block* map(uint64_t bytes);

  void put(Block* block);

  // Unmaps segments that are free as a whole.
  void unmapFree();

  // Gives the pages of all free blocks back to the system.
  void trim();

  uint64_t mappedBytes() const { return mapped_; }
  // In free blocks that were in use since the last trim.
  uint64_t cachedBytes() const { return cached_; }

 private:
  void add(Block* block);
  void remove(Block* block);
  // Makes what is over of a block that is in no list a free block of its own.
  void split(Block* block, uint64_t bytes);
  // With the block after it.
  static void join(Block* block);

  std::set<std::pair<uint64_t, Block*>> free_;
  uint64_t mapped_ = 0;
  uint64_t cached_ = 0;
};
static_assert(sizeof(MappedBlocks::Block) == 64);

}  // namespace ld
