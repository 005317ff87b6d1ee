// Group normalisation (Wu and He 2018), alone or followed by SiLU, forward and backward, on channels_last
// activations: the device code, written so that the host can run it too (phased.h). Memory is [N, pixels, channels].
//
//   z = (x - mean_g) rstd_g w_c + b_c,  y = z sigmoid(z), or y = z
//
// The statistics are sums over all pixels, of which each block takes a share; a second, small kernel adds the
// shares in a fixed order, so results do not change from run to run. Sums are float32 within a thread (some
// hundred elements), float64 from there on. For the forward statistics, all values of a group are shifted by
// the group's first one, so that a mean far from zero costs no digits.
#pragma once

#include <cmath>

#include "kernels/phased.h"

namespace ld::group_norm_silu {

// How a tensor [images, pixels, channels] is cut: a block is lanes (packs of channels) x rows (pixels).
struct Layout {
  int64_t images = 0, pixels = 0;
  int channels = 0, groups = 0;
  int lanes = 1, rows = 1, tiles = 1, splits = 1;

  LD_HOST_DEVICE int groupSize() const { return channels / groups; }
  LD_HOST_DEVICE int threads() const { return lanes * rows; }
};

constexpr int kThreads = 256;

// `blocks`: how many are wanted in all, to fill the device; `least`: pixels that make a thread's work worth it.
inline Layout layOut(int64_t images, int64_t pixels, int channels, int groups, int pack, int blocks, int least) {
  Layout layout{images, pixels, channels, groups};
  const int packs = channels / pack;
  layout.lanes = packs < kThreads ? packs : kThreads;
  layout.rows = kThreads / layout.lanes;
  layout.tiles = (packs + layout.lanes - 1) / layout.lanes;
  const int64_t useful = (pixels + static_cast<int64_t>(layout.rows) * least - 1) / (static_cast<int64_t>(layout.rows) * least);
  const int64_t wanted = (blocks + images * layout.tiles - 1) / (images * layout.tiles);
  const int64_t splits = useful < wanted ? useful : wanted;
  layout.splits = static_cast<int>(splits < 1 ? 1 : splits);
  return layout;
}

LD_HOST_DEVICE float sigmoid(float z) {
#ifdef __CUDA_ARCH__
  return __fdividef(1.0f, 1.0f + __expf(-z));
#else
  return 1.0f / (1.0f + std::exp(-z));
#endif
}

template <bool Silu>
LD_HOST_DEVICE float activate(float z) {
  return Silu ? z * sigmoid(z) : z;
}

// Its derivative.
template <bool Silu>
LD_HOST_DEVICE float slope(float z) {
  if (!Silu) return 1.0f;
  const float s = sigmoid(z);
  return s * (1.0f + z * (1.0f - s));
}

// One thread's place: its pack of channels, and its pixels of its block's share.
template <int V>
struct Place {
  int channel;
  bool inside;
  int64_t image, first, end;

  LD_HOST_DEVICE Place(const Layout& layout, Block block, int thread) {
    const int pack = block.y * layout.lanes + thread % layout.lanes;
    channel = pack * V;
    inside = channel < layout.channels;
    image = block.z;
    first = layout.pixels * block.x / layout.splits + thread / layout.lanes;
    end = layout.pixels * (block.x + 1) / layout.splits;
  }
};

// Two sums a channel over each block's pixels: `Body` says of what. Writes partial[image, split, channel, 2].
template <typename T, int V, typename Body>
struct ChannelSums {
  static constexpr int kPhases = 2;
  static constexpr int kMostThreads = kThreads;
  Layout layout;
  Body body;
  float* partial;

  Grid grid() const {
    return {layout.splits, layout.tiles, static_cast<int>(layout.images), layout.threads(),
            layout.threads() * V * 2 * static_cast<int>(sizeof(float))};
  }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char* memory) const {
    float* shared = reinterpret_cast<float*>(memory);
    if constexpr (Phase == 0) {
      const Place<V> place(layout, block, thread);
      float sums[V][2] = {};
      if (place.inside) {
        const auto channels = body.template channels<V>(layout, place);
#ifdef __CUDA_ARCH__
#pragma unroll 4
#endif
        for (int64_t pixel = place.first; pixel < place.end; pixel += layout.rows) {
          const int64_t at = (place.image * layout.pixels + pixel) * layout.channels + place.channel;
          body.template add<T, V>(channels, at, sums);
        }
      }
      for (int v = 0; v < V; ++v) {
        shared[(thread * V + v) * 2] = sums[v][0];
        shared[(thread * V + v) * 2 + 1] = sums[v][1];
      }
    } else {
      const int width = layout.lanes * V * 2;
      const int64_t row = (static_cast<int64_t>(block.z) * layout.splits + block.x) * layout.channels * 2;
      const int64_t from = static_cast<int64_t>(block.y) * width;
      for (int i = thread; i < width; i += layout.threads()) {
        float sum = 0;
        for (int r = 0; r < layout.rows; ++r) sum += shared[r * width + i];
        if (from + i < static_cast<int64_t>(layout.channels) * 2) partial[row + from + i] = sum;
      }
    }
  }
};

// Sum and sum of squares of x, shifted by its group's first value.
template <typename T>
struct Moments {
  const T* x;

  template <int V>
  struct Channels {
    float shift[V];
  };

  LD_HOST_DEVICE float shiftOf(const Layout& layout, int64_t image, int group) const {
    return toFloat(x[image * layout.pixels * layout.channels + group * layout.groupSize()]);
  }

  template <int V>
  LD_HOST_DEVICE Channels<V> channels(const Layout& layout, const Place<V>& place) const {
    Channels<V> result;
    for (int v = 0; v < V; ++v) result.shift[v] = shiftOf(layout, place.image, (place.channel + v) / layout.groupSize());
    return result;
  }

  template <typename, int V>
  LD_HOST_DEVICE void add(const Channels<V>& channels, int64_t at, float (&sums)[V][2]) const {
    const auto pack = loadPack<T, V>(x + at);
    for (int v = 0; v < V; ++v) {
      const float value = toFloat(pack.values[v]) - channels.shift[v];
      sums[v][0] += value;
      sums[v][1] += value * value;
    }
  }
};

// The same of y = x + residual + bias, which it writes: what a residual block ends with and the next norm begins with.
template <typename T>
struct ResidualMoments {
  const T* x;
  const T* residual;
  const float* bias;  // null for none
  T* y;

  template <int V>
  struct Channels {
    float shift[V], bias[V];
  };

  LD_HOST_DEVICE float valueAt(int64_t at, float added) const {
    return toFloat(fromFloat<T>(toFloat(x[at]) + toFloat(residual[at]) + added));
  }

  LD_HOST_DEVICE float shiftOf(const Layout& layout, int64_t image, int group) const {
    const int channel = group * layout.groupSize();
    return valueAt(image * layout.pixels * layout.channels + channel, bias ? bias[channel] : 0.0f);
  }

  template <int V>
  LD_HOST_DEVICE Channels<V> channels(const Layout& layout, const Place<V>& place) const {
    Channels<V> result;
    for (int v = 0; v < V; ++v) {
      result.shift[v] = shiftOf(layout, place.image, (place.channel + v) / layout.groupSize());
      result.bias[v] = bias ? bias[place.channel + v] : 0.0f;
    }
    return result;
  }

  template <typename, int V>
  LD_HOST_DEVICE void add(const Channels<V>& channels, int64_t at, float (&sums)[V][2]) const {
    const auto a = loadPack<T, V>(x + at);
    const auto b = loadPack<T, V>(residual + at);
    Pack<T, V> out;
    for (int v = 0; v < V; ++v) {
      out.values[v] = fromFloat<T>(toFloat(a.values[v]) + toFloat(b.values[v]) + channels.bias[v]);
      const float value = toFloat(out.values[v]) - channels.shift[v];
      sums[v][0] += value;
      sums[v][1] += value * value;
    }
    storePack<T, V>(y + at, out);
  }
};

// What the normalisation does to one channel of one image.
struct Channel {
  float mean, rstd, weight, bias;
};

struct Affine {
  const float* mean;    // [images, groups]
  const float* rstd;    // [images, groups]
  const float* weight;  // [channels], null for 1
  const float* bias;    // [channels], null for 0

  LD_HOST_DEVICE Channel at(const Layout& layout, int64_t image, int channel) const {
    const int64_t group = image * layout.groups + channel / layout.groupSize();
    return {mean[group], rstd[group], weight ? weight[channel] : 1.0f, bias ? bias[channel] : 0.0f};
  }
};

// Sums of dz and of dz xhat, where dz = dy y'(z).
template <typename T, bool Silu>
struct GradientSums {
  const T* dy;
  const T* x;
  Affine affine;

  template <int V>
  struct Channels {
    Channel channel[V];
  };

  template <int V>
  LD_HOST_DEVICE Channels<V> channels(const Layout& layout, const Place<V>& place) const {
    Channels<V> result;
    for (int v = 0; v < V; ++v) result.channel[v] = affine.at(layout, place.image, place.channel + v);
    return result;
  }

  template <typename, int V>
  LD_HOST_DEVICE void add(const Channels<V>& channels, int64_t at, float (&sums)[V][2]) const {
    const auto gradient = loadPack<T, V>(dy + at);
    const auto input = loadPack<T, V>(x + at);
    for (int v = 0; v < V; ++v) {
      const Channel& c = channels.channel[v];
      const float normal = (toFloat(input.values[v]) - c.mean) * c.rstd;
      const float dz = toFloat(gradient.values[v]) * slope<Silu>(normal * c.weight + c.bias);
      sums[v][0] += dz;
      sums[v][1] += dz * normal;
    }
  }
};

// Adds the shares of a group: one block for each image and group. `Finish` turns the two sums into results.
template <typename Finish>
struct GroupSums {
  static constexpr int kPhases = 3;
  static constexpr int kMostThreads = kThreads;
  static constexpr int kTeams = 16;
  Layout layout;
  const float* partial;
  Finish finish;

  Grid grid() const {
    return {layout.groups, 1, static_cast<int>(layout.images), kThreads, kThreads * 2 * static_cast<int>(sizeof(double))};
  }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char* memory) const {
    double* shared = reinterpret_cast<double*>(memory);
    const int size = layout.groupSize();
    if constexpr (Phase == 0) {
      double sums[2] = {0, 0};
      const int64_t items = static_cast<int64_t>(layout.splits) * size;
      for (int64_t i = thread; i < items; i += kThreads) {
        const int channel = block.x * size + static_cast<int>(i % size);
        const int64_t at = ((static_cast<int64_t>(block.z) * layout.splits + i / size) * layout.channels + channel) * 2;
        const double weight = finish.weightOf(channel);
        sums[0] += weight * partial[at];
        sums[1] += weight * partial[at + 1];
      }
      shared[thread * 2] = sums[0];
      shared[thread * 2 + 1] = sums[1];
    } else if constexpr (Phase == 1) {
      if (thread >= kTeams) return;
      double sums[2] = {0, 0};
      for (int i = thread; i < kThreads; i += kTeams) {
        sums[0] += shared[i * 2];
        sums[1] += shared[i * 2 + 1];
      }
      // Only this thread reads these two places in this phase: i = thread was its first.
      shared[thread * 2] = sums[0];
      shared[thread * 2 + 1] = sums[1];
    } else {
      if (thread != 0) return;
      double sums[2] = {0, 0};
      for (int i = 0; i < kTeams; ++i) {
        sums[0] += shared[i * 2];
        sums[1] += shared[i * 2 + 1];
      }
      finish.write(layout, block.z, block.x, sums[0], sums[1]);
    }
  }
};

// Shifted moments to mean and 1 / sqrt(variance + eps).
template <typename Source>
struct FinishMoments {
  Source source;
  float eps;
  float* mean;
  float* rstd;

  LD_HOST_DEVICE double weightOf(int) const { return 1; }
  LD_HOST_DEVICE void write(const Layout& layout, int64_t image, int group, double sum, double squares) const {
    const double count = static_cast<double>(layout.pixels) * layout.groupSize();
    const double offset = sum / count;
    const double spread = squares / count - offset * offset;
    const int64_t at = image * layout.groups + group;
    mean[at] = static_cast<float>(source.shiftOf(layout, image, group) + offset);
    rstd[at] = static_cast<float>(1.0 / sqrt((spread > 0 ? spread : 0) + static_cast<double>(eps)));
  }
};

// The two means that the gradient of x subtracts, times rstd: coefficients[image, group, 2].
struct FinishGradient {
  const float* weight;
  const float* rstd;
  float* coefficients;

  LD_HOST_DEVICE double weightOf(int channel) const { return weight ? weight[channel] : 1.0; }
  LD_HOST_DEVICE void write(const Layout& layout, int64_t image, int group, double sum, double product) const {
    const int64_t at = image * layout.groups + group;
    const double scale = rstd[at] / (static_cast<double>(layout.pixels) * layout.groupSize());
    coefficients[at * 2] = static_cast<float>(sum * scale);
    coefficients[at * 2 + 1] = static_cast<float>(product * scale);
  }
};

// Gradients of weight and bias: the shares of all images and splits, for 32 channels a block.
struct ParameterGradients {
  static constexpr int kPhases = 2;
  static constexpr int kMostThreads = kThreads;
  static constexpr int kChannels = 32;
  static constexpr int kSlices = kThreads / kChannels;
  Layout layout;
  const float* partial;
  float* weight;  // null where it is not wanted
  float* bias;

  Grid grid() const {
    return {(layout.channels + kChannels - 1) / kChannels, 1, 1, kThreads, kThreads * 2 * static_cast<int>(sizeof(double))};
  }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char* memory) const {
    double* shared = reinterpret_cast<double*>(memory);
    const int channel = block.x * kChannels + thread % kChannels;
    if constexpr (Phase == 0) {
      double sums[2] = {0, 0};
      if (channel < layout.channels) {
        const int64_t shares = layout.images * layout.splits;
        for (int64_t i = thread / kChannels; i < shares; i += kSlices) {
          sums[0] += partial[(i * layout.channels + channel) * 2];
          sums[1] += partial[(i * layout.channels + channel) * 2 + 1];
        }
      }
      shared[thread * 2] = sums[0];
      shared[thread * 2 + 1] = sums[1];
    } else {
      if (thread >= kChannels || channel >= layout.channels) return;
      double sums[2] = {0, 0};
      for (int slice = 0; slice < kSlices; ++slice) {
        sums[0] += shared[(slice * kChannels + thread) * 2];
        sums[1] += shared[(slice * kChannels + thread) * 2 + 1];
      }
      if (bias) bias[channel] = static_cast<float>(sums[0]);
      if (weight) weight[channel] = static_cast<float>(sums[1]);
    }
  }
};

// y of x, given the statistics.
template <typename T, int V, bool Silu>
struct Apply {
  static constexpr int kPhases = 1;
  static constexpr int kMostThreads = kThreads;
  Layout layout;
  const T* x;
  T* y;
  Affine affine;

  Grid grid() const { return {layout.splits, layout.tiles, static_cast<int>(layout.images), layout.threads(), 0}; }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char*) const {
    const Place<V> place(layout, block, thread);
    if (!place.inside) return;
    Channel channels[V];
    for (int v = 0; v < V; ++v) channels[v] = affine.at(layout, place.image, place.channel + v);
#ifdef __CUDA_ARCH__
#pragma unroll 4
#endif
    for (int64_t pixel = place.first; pixel < place.end; pixel += layout.rows) {
      const int64_t at = (place.image * layout.pixels + pixel) * layout.channels + place.channel;
      auto pack = loadPack<T, V>(x + at);
      for (int v = 0; v < V; ++v) {
        const Channel& c = channels[v];
        // The mean is taken off first: folded into the shift, it would cost digits where it is large.
        const float z = (toFloat(pack.values[v]) - c.mean) * (c.rstd * c.weight) + c.bias;
        pack.values[v] = fromFloat<T>(activate<Silu>(z));
      }
      storePack<T, V>(y + at, pack);
    }
  }
};

// dx = rstd w dz - c1 - xhat c2, with c1 and c2 of FinishGradient.
template <typename T, int V, bool Silu>
struct InputGradient {
  static constexpr int kPhases = 1;
  static constexpr int kMostThreads = kThreads;
  Layout layout;
  const T* dy;
  const T* x;
  T* dx;
  Affine affine;
  const float* coefficients;

  Grid grid() const { return {layout.splits, layout.tiles, static_cast<int>(layout.images), layout.threads(), 0}; }

  template <int Phase>
  LD_HOST_DEVICE void run(Block block, int thread, unsigned char*) const {
    const Place<V> place(layout, block, thread);
    if (!place.inside) return;
    Channel channels[V];
    float taken[V][2];
    for (int v = 0; v < V; ++v) {
      channels[v] = affine.at(layout, place.image, place.channel + v);
      const int64_t group = place.image * layout.groups + (place.channel + v) / layout.groupSize();
      taken[v][0] = coefficients[group * 2];
      taken[v][1] = coefficients[group * 2 + 1];
    }
#ifdef __CUDA_ARCH__
#pragma unroll 2
#endif
    for (int64_t pixel = place.first; pixel < place.end; pixel += layout.rows) {
      const int64_t at = (place.image * layout.pixels + pixel) * layout.channels + place.channel;
      auto gradient = loadPack<T, V>(dy + at);
      const auto input = loadPack<T, V>(x + at);
      for (int v = 0; v < V; ++v) {
        const Channel& c = channels[v];
        const float normal = (toFloat(input.values[v]) - c.mean) * c.rstd;
        const float dz = toFloat(gradient.values[v]) * slope<Silu>(normal * c.weight + c.bias);
        gradient.values[v] = fromFloat<T>(c.rstd * c.weight * dz - taken[v][0] - normal * taken[v][1]);
      }
      storePack<T, V>(dx + at, gradient);
    }
  }
};

}  // namespace ld::group_norm_silu
