// The one record format of the queue, in 32-bit words. Pointers and doubles take two words each.
//   op:   [Op]   [length] [site lo] [site hi] [mode] [trace] [inputs n] [numbers n] [outputs n]
//                input ids..., numbers (64 bits each)..., output ids...
//   task: [Task] [length] [pointer lo] [pointer hi]
//   free: [Free] [length] ids...
//   receive: [Receive] [length] [parcel lo] [parcel hi] [output id]
//   hold: [Hold] [length] [gates lo] [gates hi]
#pragma once

#include <cstdint>
#include <cstring>

namespace ld::record {

enum Kind : uint32_t { Op = 1, Task = 2, Free = 3, Receive = 4, Hold = 5 };

constexpr uint32_t kOpHeader = 9;

// Thread-local state of libtorch under which an op runs; JavaScript sends it with every op.
enum Mode : uint32_t {
  Grad = 1u << 0,
  Inference = 1u << 1,
  Autocast = 1u << 2,
  // Positions whose tensor is undefined in one list are dropped from every list of that length:
  // an optimiser step over parameters of which some have no gradient.
  SkipUndefined = 1u << 3,
  // Bits 8-15: autocast's dtype; bits 16-23: its device type.
};

template <typename T>
inline void putPointer(uint32_t* words, T* pointer) {
  const auto bits = reinterpret_cast<uint64_t>(pointer);
  words[0] = static_cast<uint32_t>(bits);
  words[1] = static_cast<uint32_t>(bits >> 32);
}

template <typename T>
inline T* getPointer(const uint32_t* words) {
  return reinterpret_cast<T*>(static_cast<uint64_t>(words[0]) | static_cast<uint64_t>(words[1]) << 32);
}

inline double getDouble(const uint32_t* words) {
  double value;
  std::memcpy(&value, words, sizeof(double));
  return value;
}

}  // namespace ld::record
