// The spatial softmax loss on channels_last logits [B, pixels, N]: the device code, written so that the host can run
// it too (phased.h). What is computed is said in spatial_softmax_loss.h; sums are in a fixed order.
#pragma once

#include <cmath>

#include "kernels/phased.h"

namespace ld::softmax_loss {

constexpr int kThreads = 256;

// A block is lanes (channels) x rows (pixels); `splits` blocks share an image, `tiles` its channels.
struct Cut {
  int64_t images = 0, pixels = 0;
  int channels = 0;
  int lanes = 1, rows = 1, tiles = 1, splits = 1;

  LD_HOST_DEVICE int threads() const { return lanes * rows; }
  Grid grid(int sharedBytes = 0) const { return {splits, tiles, static_cast<int>(images), threads(), sharedBytes}; }
};

inline Cut cut(int64_t images, int64_t pixels, int channels, int blocks) {
  Cut result{images, pixels, channels};
  result.lanes = channels < kThreads ? channels : kThreads;
  result.rows = kThreads / result.lanes;
  result.tiles = (channels + result.lanes - 1) / result.lanes;
  constexpr int64_t kLeast = 8;  // pixels a thread
  const int64_t useful = (pixels + result.rows * kLeast - 1) / (result.rows * kLeast);
  const int64_t wanted = (blocks + images * result.tiles - 1) / (images * result.tiles);
  result.splits = static_cast<int>(useful < wanted ? useful : wanted);
  return result;
}

struct Place {
  int channel;
  bool inside;
  int64_t image, first, end;

  LD_HOST_DEVICE Place(const Cut& cut, Block block, int thread)
      : channel(block.y * cut.lanes + thread % cut.lanes),
        inside(channel < cut.channels),
        image(block.z),
        first(cut.pixels * block.x / cut.splits + thread / cut.lanes),
        end(cut.pixels * (block.x + 1) / cut.splits) {}

  LD_HOST_DEVICE int64_t at(const Cut& cut, int64_t pixel) const { return (image * cut.pixels + pixel) * cut.channels + channel; }
};

LD_HOST_DEVICE float exponential(float x) {
#ifdef __CUDA_ARCH__
  return __expf(x);
#else
  return std::exp(x);
#endif
}

// Of a part of a channel: its largest x, the sum of exp(x - largest), and of (x + 1)^2.
struct Part {
  float largest, exponentials, squares;
};

LD_HOST_DEVICE Part nothing() { return {-INFINITY, 0.0f, 0.0f}; }

LD_HOST_DEVICE void add(Part& part, float x) {
  // A NaN goes through the second branch and makes the sum NaN, as it should.
  if (x > part.largest) {
    part.exponentials = part.exponentials * exponential(part.largest - x) + 1.0f;
    part.largest = x;
  } else {
    part.exponentials += part.largest == -INFINITY && x == -INFINITY ? 0.0f : exponential(x - part.largest);
  }
  part.squares += (x + 1.0f) * (x + 1.0f);
}

LD_HOST_DEVICE Part joined(const Part& a, const Part& b) {
  const float largest = a.largest > b.largest ? a.largest : b.largest;
  const auto scaled = [&](const Part& part) { return part.exponentials == 0.0f ? 0.0f : part.exponentials * exponential(part.largest - largest); };
  return {largest, scaled(a) + scaled(b), a.squares + b.squares};
}

// parts[image, split, channel]
template <typename T>
struct Parts {
  static constexpr int kPhases = 2;
  static constexpr int kMostThreads = kThreads;
  Cut cut;
  const T* logits;
  Part* parts;

  Grid grid() const { return cut.grid(cut.threads() * static_cast<int>(sizeof(Part))); }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char* memory) const {
    Part* shared = reinterpret_cast<Part*>(memory);
    const Place place(cut, block, thread);
    if constexpr (Phase == 0) {
      Part part = nothing();
      if (place.inside) {
        for (int64_t pixel = place.first; pixel < place.end; pixel += cut.rows) add(part, toFloat(logits[place.at(cut, pixel)]));
      }
      shared[thread] = part;
    } else {
      if (thread >= cut.lanes || !place.inside) return;
      Part sum = shared[thread];
      for (int row = 1; row < cut.rows; ++row) sum = joined(sum, shared[row * cut.lanes + thread]);
      parts[(place.image * cut.splits + block.x) * cut.channels + place.channel] = sum;
    }
  }
};

// Of each channel the largest x, the sum of exp(x - largest) and the mean of (x + 1)^2; one block a channel.
struct Join {
  static constexpr int kPhases = 3;
  static constexpr int kMostThreads = kThreads;
  static constexpr int kTeams = 16;
  Cut cut;
  const Part* parts;
  float* largest;       // [images, channels]
  float* exponentials;  // [images, channels]
  float* squares;       // [images, channels]

  Grid grid() const {
    return {cut.channels, 1, static_cast<int>(cut.images), kThreads, kThreads * static_cast<int>(sizeof(Part))};
  }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char* memory) const {
    Part* shared = reinterpret_cast<Part*>(memory);
    if constexpr (Phase == 0) {
      Part sum = nothing();
      for (int split = thread; split < cut.splits; split += kThreads)
        sum = joined(sum, parts[(static_cast<int64_t>(block.z) * cut.splits + split) * cut.channels + block.x]);
      shared[thread] = sum;
    } else if constexpr (Phase == 1) {
      if (thread >= kTeams) return;
      // The first place that each thread reads is the one that it writes.
      Part sum = shared[thread];
      for (int i = thread + kTeams; i < kThreads; i += kTeams) sum = joined(sum, shared[i]);
      shared[thread] = sum;
    } else {
      if (thread != 0) return;
      Part sum = shared[0];
      for (int i = 1; i < kTeams; ++i) sum = joined(sum, shared[i]);
      const int64_t at = static_cast<int64_t>(block.z) * cut.channels + block.x;
      largest[at] = sum.largest;
      exponentials[at] = sum.exponentials;
      squares[at] = sum.squares / static_cast<float>(cut.pixels);
    }
  }
};

// The two losses: one block for all points. A target outside of the picture makes them NaN, which no run goes on with:
// a kernel cannot throw.
template <typename T>
struct Total {
  static constexpr int kPhases = 2;
  static constexpr int kMostThreads = kThreads;
  Cut cut;
  const T* logits;
  const int64_t* target;  // [images, channels]
  const float* mask;      // [images, channels]
  const float* largest;
  const float* exponentials;
  const float* squares;
  float* nll;
  float* mse;

  Grid grid() const { return {1, 1, 1, kThreads, kThreads * 3 * static_cast<int>(sizeof(double))}; }

  template <int Phase>
  LD_HOST_DEVICE void run(Block, int thread, unsigned char* memory) const {
    double* shared = reinterpret_cast<double*>(memory);
    if constexpr (Phase == 0) {
      double sums[3] = {0, 0, 0};
      const int64_t points = cut.images * cut.channels;
      for (int64_t point = thread; point < points; point += kThreads) {
        const double m = mask[point];
        sums[2] += m;
        if (m == 0) continue;
        const int64_t pixel = target[point];
        double x = NAN;
        if (pixel >= 0 && pixel < cut.pixels)
          x = toFloat(logits[(point / cut.channels * cut.pixels + pixel) * cut.channels + point % cut.channels]);
        const double hot = 2 * m - 1;
        sums[0] += m * (largest[point] + log(static_cast<double>(exponentials[point])) - x);
        sums[1] += m * (squares[point] + ((x - hot) * (x - hot) - (x + 1) * (x + 1)) / static_cast<double>(cut.pixels));
      }
      for (int i = 0; i < 3; ++i) shared[thread * 3 + i] = sums[i];
    } else {
      if (thread != 0) return;
      double sums[3] = {0, 0, 0};
      for (int t = 0; t < kThreads; ++t)
        for (int i = 0; i < 3; ++i) sums[i] += shared[t * 3 + i];
      const double known = sums[2] > 1 ? sums[2] : 1;
      *nll = static_cast<float>(sums[0] / known);
      *mse = static_cast<float>(sums[1] / known);
    }
  }
};

// Of each channel: dx = p exp(x - largest) + q (x + 1), and at the target `hot` besides.
struct Coefficients {
  static constexpr int kPhases = 2;
  static constexpr int kMostThreads = kThreads;
  Cut cut;
  const float* mask;
  const float* exponentials;
  const float* dnll;
  const float* dmse;
  float* coefficients;  // [images, channels, 3]: p, q, hot

  Grid grid() const { return {1, 1, 1, kThreads, kThreads * static_cast<int>(sizeof(double))}; }

  template <int Phase>
  LD_HOST_DEVICE void run(Block, int thread, unsigned char* memory) const {
    double* shared = reinterpret_cast<double*>(memory);
    const int64_t points = cut.images * cut.channels;
    if constexpr (Phase == 0) {
      double sum = 0;
      for (int64_t point = thread; point < points; point += kThreads) sum += mask[point];
      shared[thread] = sum;
    } else {
      double sum = 0;
      for (int t = 0; t < kThreads; ++t) sum += shared[t];
      const double known = sum > 1 ? sum : 1;
      for (int64_t point = thread; point < points; point += kThreads) {
        const double m = mask[point], likelihood = *dnll * m / known, square = *dmse * m / known * 2 / static_cast<double>(cut.pixels);
        coefficients[point * 3] = static_cast<float>(likelihood / exponentials[point]);
        coefficients[point * 3 + 1] = static_cast<float>(square);
        coefficients[point * 3 + 2] = static_cast<float>(-likelihood - 2 * m * square);
      }
    }
  }
};

template <typename T>
struct Gradient {
  static constexpr int kPhases = 1;
  static constexpr int kMostThreads = kThreads;
  Cut cut;
  const T* logits;
  T* dx;
  const int64_t* target;
  const float* largest;
  const float* coefficients;

  Grid grid() const { return cut.grid(); }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char*) const {
    const Place place(cut, block, thread);
    if (!place.inside) return;
    const int64_t point = place.image * cut.channels + place.channel;
    const float p = coefficients[point * 3], q = coefficients[point * 3 + 1], atTarget = coefficients[point * 3 + 2];
    const float top = largest[point];
    const int64_t hot = target[point];
    for (int64_t pixel = place.first; pixel < place.end; pixel += cut.rows) {
      const int64_t at = place.at(cut, pixel);
      const float x = toFloat(logits[at]);
      dx[at] = fromFloat<T>(p * exponential(x - top) + q * (x + 1.0f) + (pixel == hot ? atTarget : 0.0f));
    }
  }
};

}  // namespace ld::softmax_loss
