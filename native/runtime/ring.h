// A bounded queue of op records between one JavaScript thread and the executor: single producer,
// single consumer, records of 32-bit words. A record never wraps: where it would, a filler closes
// the lap, so that both sides read and write it as one piece of memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace ld {

class Ring {
 public:
  static constexpr uint32_t kWords = 1u << 18;
  static constexpr uint32_t kLongest = kWords / 4;
  static constexpr uint32_t kFiller = 0;

  Ring() : words_(std::make_unique<uint32_t[]>(kWords)) {}

  // Producer: room for `count` words, or nullptr while the consumer is too far behind.
  uint32_t* reserve(uint32_t count) {
    uint64_t head = head_.load(std::memory_order_relaxed);
    const uint32_t at = static_cast<uint32_t>(head % kWords);
    const uint32_t filler = at + count > kWords ? kWords - at : 0;
    if (head + filler + count - tail_.load(std::memory_order_acquire) > kWords) return nullptr;
    if (filler > 0) {
      words_[at] = kFiller;
      pending_ = head + filler;
    } else {
      pending_ = head;
    }
    return &words_[pending_ % kWords];
  }

  // Producer: makes the reserved record visible.
  void publish(uint32_t count) { head_.store(pending_ + count, std::memory_order_release); }

  // Consumer: the oldest record, or nullptr.
  const uint32_t* front() {
    for (;;) {
      const uint64_t tail = tail_.load(std::memory_order_relaxed);
      if (tail == head_.load(std::memory_order_acquire)) return nullptr;
      const uint32_t at = static_cast<uint32_t>(tail % kWords);
      if (words_[at] != kFiller) return &words_[at];
      tail_.store(tail + (kWords - at), std::memory_order_release);
    }
  }

  void pop(uint32_t count) {
    tail_.store(tail_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }

  // Producer: whether the consumer is more than half a lap behind.
  bool halfFull() const {
    return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_acquire) > kWords / 2;
  }

  bool empty() const {
    return tail_.load(std::memory_order_acquire) == head_.load(std::memory_order_acquire);
  }

 private:
  std::unique_ptr<uint32_t[]> words_;
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t pending_ = 0;
};

}  // namespace ld
