// Raw arrays over standard input and output, for programs that run device code on the host (host.ts).
#pragma once

#include <cstdio>
#include <cstdlib>

// Aligned as libtorch's allocators align.
template <typename T>
struct Array {
  explicit Array(size_t count)
      : length(count), data(static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) / 64 + 1) * 64))) {}
  ~Array() { std::free(data); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  bool read() const { return std::fread(data, sizeof(T), length, stdin) == length; }
  void write() const { std::fwrite(data, sizeof(T), length, stdout); }
  size_t length;
  T* data;
};
