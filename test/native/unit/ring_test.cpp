#include "runtime/ring.h"

#include <random>
#include <thread>

#include "check.h"

namespace ld::test {

namespace {

// A record of `length` words: the length, then words that follow from its number.
void fill(uint32_t* words, uint32_t number, uint32_t length) {
  words[0] = length;
  for (uint32_t i = 1; i < length; ++i) words[i] = number + i;
}

bool holds(const uint32_t* words, uint32_t number, uint32_t length) {
  if (words[0] != length) return false;
  for (uint32_t i = 1; i < length; ++i) {
    if (words[i] != number + i) return false;
  }
  return true;
}

uint32_t lengthOf(std::mt19937& random, uint32_t longest) {
  return 1 + random() % (random() % 16 == 0 ? longest : 40);
}

const Register order("records come out of the ring as they went in, over many laps", [] {
  constexpr uint32_t kRecords = 60'000;
  constexpr uint32_t kLongest = Ring::kLongest / 16;
  Ring ring;
  std::thread producer([&ring] {
    std::mt19937 random(7);
    for (uint32_t number = 0; number < kRecords; ++number) {
      const uint32_t length = lengthOf(random, kLongest);
      uint32_t* place = nullptr;
      while ((place = ring.reserve(length)) == nullptr) std::this_thread::yield();
      fill(place, number, length);
      ring.publish(length);
    }
  });
  std::mt19937 random(7);
  uint32_t wrong = 0;
  for (uint32_t number = 0; number < kRecords; ++number) {
    const uint32_t length = lengthOf(random, kLongest);
    const uint32_t* words = nullptr;
    while ((words = ring.front()) == nullptr) std::this_thread::yield();
    if (!holds(words, number, length)) ++wrong;
    ring.pop(length);
  }
  producer.join();
  check(wrong == 0, std::to_string(wrong) + " records differ");
  check(ring.empty(), "the ring is not empty at the end");
});

const Register full("a full ring takes nothing until something is taken out", [] {
  Ring ring;
  uint32_t taken = 0;
  while (uint32_t* place = ring.reserve(Ring::kLongest)) {
    fill(place, taken++, Ring::kLongest);
    ring.publish(Ring::kLongest);
  }
  check(taken == Ring::kWords / Ring::kLongest, "holds " + std::to_string(taken) + " of the longest records");
  ring.pop(Ring::kLongest);
  check(ring.reserve(Ring::kLongest) != nullptr, "no room after a pop");
});

}  // namespace

}  // namespace ld::test
