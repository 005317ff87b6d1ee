#include "kernels/conv2d/vector.h"

#include <algorithm>
#include <cstring>

#include "kernels/lanes.h"

namespace ld::winograd::CPU_CAPABILITY {

namespace {

using L = Lanes<float>;
using Vec = L::Vec;

constexpr int64_t kVectors = 2;  // of a panel's row
constexpr int64_t kPanel = kVectors * L::size;
// Rows of the block of sums that is held in registers: 24 of 32 vectors with AVX-512, 12 of 16 else.
constexpr int64_t kRows = L::size == 16 ? 12 : 6;

constexpr float a = 0.70710678118654752f, b = 1.41421356237309505f;  // a^2 b^2 = 1, a^2 + b^2 = 5/2
constexpr float a2 = 0.5f, b2 = 2, a3 = a * a2, b3 = b * b2, both = 2.5f;
// Products of the differences of the points, whose inverses belong to the filters.
constexpr float na = -1.0f / 1.5f, nb = 1.0f / 6;

Vec fma(float factor, const Vec& x, const Vec& y) { return at::vec::fmadd(Vec(factor), x, y); }

// Vectors that are written before they are read. A plain array of them would be filled with zeros first, which takes as long
// as the transforms.
template <int Count>
class Vecs {
 public:
  Vecs() {}
  operator Vec*() { return vecs_; }

 private:
  union {
    Vec vecs_[Count];
  };
};

// B^T d, of six inputs: the first or last output, and those of a point and its negative.
C10_ALWAYS_INLINE Vec inputEnd(const Vec& near, const Vec& middle, const Vec& far) { return fma(-both, middle, near + far); }

C10_ALWAYS_INLINE void inputPair(float point, float other2, const Vec& d1, const Vec& d2, const Vec& d3, const Vec& d4, Vec& plus,
                                 Vec& minus) {
  const Vec even = fma(-other2, d2, d4), odd = Vec(point) * fma(-other2, d1, d3);
  plus = even + odd;
  minus = even - odd;
}

C10_ALWAYS_INLINE void transformInput(const Vec d[6], Vec out[6]) {
  out[0] = inputEnd(d[0], d[2], d[4]);
  inputPair(a, b2, d[1], d[2], d[3], d[4], out[1], out[2]);
  inputPair(b, a2, d[1], d[2], d[3], d[4], out[3], out[4]);
  out[5] = inputEnd(d[1], d[3], d[5]);
}

// The same along the columns of the window d(row, column), then along its rows, which go to store(row, column, value). Row by
// row, as the registers do not hold 36 values between the two.
template <typename Load, typename Store>
C10_ALWAYS_INLINE void transformWindow(const Load& d, const Store& store) {
  const auto finish = [&](int row, const Vec* half) {
    Vecs<6> out;
    transformInput(half, out);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(row, j, out[j]);
  };
  Vecs<6> half, other;
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) half[j] = inputEnd(d(0, j), d(2, j), d(4, j));
  finish(0, half);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) inputPair(a, b2, d(1, j), d(2, j), d(3, j), d(4, j), half[j], other[j]);
  finish(1, half);
  finish(2, other);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) inputPair(b, a2, d(1, j), d(2, j), d(3, j), d(4, j), half[j], other[j]);
  finish(3, half);
  finish(4, other);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) half[j] = inputEnd(d(1, j), d(3, j), d(5, j));
  finish(5, half);
}

// A^T m: four outputs.
C10_ALWAYS_INLINE void transformOutput(const Vec m[6], Vec out[4]) {
  const Vec sumA = m[1] + m[2], differenceA = m[1] - m[2], sumB = m[3] + m[4], differenceB = m[3] - m[4];
  out[0] = m[0] + sumA + sumB;
  out[1] = fma(a, differenceA, Vec(b) * differenceB);
  out[2] = fma(a2, sumA, Vec(b2) * sumB);
  out[3] = fma(a3, differenceA, fma(b3, differenceB, m[5]));
}

// A y: the gradient of four outputs.
C10_ALWAYS_INLINE void transformGradient(const Vec y[4], Vec out[6]) {
  const Vec evenA = fma(a2, y[2], y[0]), oddA = fma(a, y[1], Vec(a3) * y[3]);
  const Vec evenB = fma(b2, y[2], y[0]), oddB = fma(b, y[1], Vec(b3) * y[3]);
  out[0] = y[0];
  out[1] = evenA + oddA;
  out[2] = evenA - oddA;
  out[3] = evenB + oddB;
  out[4] = evenB - oddB;
  out[5] = y[3];
}

// G g: three weights.
C10_ALWAYS_INLINE void transformFilter(const Vec g[3], Vec out[6]) {
  const Vec evenA = Vec(na) * fma(a2, g[2], g[0]), oddA = Vec(na * a) * g[1];
  const Vec evenB = Vec(nb) * fma(b2, g[2], g[0]), oddB = Vec(nb * b) * g[1];
  out[0] = g[0];
  out[1] = evenA + oddA;
  out[2] = evenA - oddA;
  out[3] = evenB + oddB;
  out[4] = evenB - oddB;
  out[5] = g[2];
}

// G^T s: the gradient of three weights.
C10_ALWAYS_INLINE void transformSums(const Vec s[6], Vec out[3]) {
  const Vec sumA = s[1] + s[2], sumB = s[3] + s[4];
  out[0] = fma(na, sumA, fma(nb, sumB, s[0]));
  out[1] = fma(na * a, s[1] - s[2], Vec(nb * b) * (s[3] - s[4]));
  out[2] = fma(na * a2, sumA, fma(nb * b2, sumB, s[5]));
}

// Applies a transform of From values to To along the columns of a square, then along its rows: from load(row, column) to
// store(row, column, value).
template <int From, int To, void (*Transform)(const Vec*, Vec*), typename Load, typename Store>
C10_ALWAYS_INLINE void both2d(const Load& load, const Store& store) {
  Vecs<To * From> half;
#pragma GCC unroll 6
  for (int j = 0; j < From; ++j) {
    Vecs<From> column;
    Vecs<To> result;
#pragma GCC unroll 6
    for (int i = 0; i < From; ++i) column[i] = load(i, j);
    Transform(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < To; ++i) half[i * From + j] = result[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < To; ++i) {
    Vecs<To> row;
    Transform(half + i * From, row);
#pragma GCC unroll 6
    for (int j = 0; j < To; ++j) store(i, j, row[j]);
  }
}

// The three taps of an even or odd phase, which sees two pixels: the middle one is read by two taps of the filter.
C10_ALWAYS_INLINE void foldTaps(bool odd, const Vec g[3], Vec out[3]) {
  out[0] = odd ? Vec(0) : g[0];
  out[1] = odd ? g[0] + g[1] : g[1] + g[2];
  out[2] = odd ? g[2] : Vec(0);
}

// Its transpose: the gradient of the filter's taps.
C10_ALWAYS_INLINE void unfoldTaps(bool odd, const Vec g[3], Vec out[3]) {
  out[0] = odd ? g[1] : g[0];
  out[1] = g[1];
  out[2] = odd ? g[2] : g[1];
}

// Applies `along` (odd, three taps, three taps) to the columns of a 3x3 filter, then to its rows.
template <typename Along>
void foldFilter(const Phase& phase, Along along, Vec* filter) {
  Vecs<3> folded;
  for (int j = 0; j < 3; ++j) {
    const Vec column[3] = {filter[j], filter[3 + j], filter[6 + j]};
    along(phase.y == 1, column, folded);
    for (int i = 0; i < 3; ++i) filter[3 * i + j] = folded[i];
  }
  for (int i = 0; i < 3; ++i) {
    along(phase.x == 1, filter + 3 * i, folded);
    for (int j = 0; j < 3; ++j) filter[3 * i + j] = folded[j];
  }
}

// c [Rows][panel] (+)= sum over k of a [.., k] b [k][panel].
template <int64_t Rows>
void multiplyRows(const float* left, int64_t rowStride, int64_t sumStride, const float* right, int64_t count, float* c, int64_t cStride,
                  bool add) {
  Vecs<kVectors> sums[Rows];
  for (int64_t r = 0; r < Rows; ++r) {
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = add ? Vec::loadu(c + r * cStride + v * L::size) : Vec(0);
  }
  for (int64_t k = 0; k < count; ++k, left += sumStride, right += kPanel) {
    Vecs<kVectors> row;
    for (int64_t v = 0; v < kVectors; ++v) row[v] = Vec::loadu(right + v * L::size);
    for (int64_t r = 0; r < Rows; ++r) {
      const Vec factor(left[r * rowStride]);
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = at::vec::fmadd(factor, row[v], sums[r][v]);
    }
  }
  for (int64_t r = 0; r < Rows; ++r) {
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v].store(c + r * cStride + v * L::size);
  }
}

void multiply(int64_t rows, const float* left, int64_t rowStride, int64_t sumStride, const float* right, int64_t count, float* c,
              int64_t cStride, bool add) {
  int64_t row = 0;
  const auto step = [&]<int64_t Rows>(std::integral_constant<int64_t, Rows>) {
    for (; row + Rows <= rows; row += Rows) {
      multiplyRows<Rows>(left + row * rowStride, rowStride, sumStride, right, count, c + row * cStride, cStride, add);
    }
  };
  step(std::integral_constant<int64_t, kRows>());
  step(std::integral_constant<int64_t, kRows / 2>());
  step(std::integral_constant<int64_t, 2>());
  step(std::integral_constant<int64_t, 1>());
}

struct Place {
  Place(const Geometry& g, int64_t tile) {
    const int64_t across = g.tilesAcross(), each = g.tilesDown() * across;
    image = tile / each;
    y = tile % each / across * kTile;
    x = tile % across * kTile;
  }
  int64_t image, y, x;
};

int64_t panelsOf(int64_t channels) { return (channels + kPanel - 1) / kPanel; }

// A picture of which only the pixels of one phase are seen, or all of them.
struct View {
  const float* data;
  int64_t channels;
  Phase phase;

  int64_t at(const Geometry& g, int64_t image, int64_t row, int64_t column) const {
    const auto [scale, y, x] = phase;
    return (((image * g.height + row) * scale + y) * g.width * scale + column * scale + x) * channels;
  }
};

// Points to the Size x Size pixels from (y, x) on; those outside the picture to zeros.
template <int64_t Size>
void pixelsAt(const View& view, const Geometry& g, const Place& place, int64_t shift, const float* zeros,
              const float* (&pixels)[Size * Size]) {
  for (int64_t i = 0; i < Size; ++i) {
    const int64_t row = place.y + shift + i;
    for (int64_t j = 0; j < Size; ++j) {
      const int64_t column = place.x + shift + j;
      const bool inside = row >= 0 && row < g.height && column >= 0 && column < g.width;
      pixels[i * Size + j] = inside ? view.data + view.at(g, place.image, row, column) : zeros;
    }
  }
}

// Transformed windows of tiles, [tiles][inputs] for each point, `stride` apart.
void transformTiles(const Geometry& g, const View& x, int64_t first, int64_t count, int64_t stride, const float* zeros, float* v) {
  for (int64_t tile = 0; tile < count; ++tile) {
    const float* pixels[36];
    pixelsAt<6>(x, g, Place(g, first + tile), -1, zeros, pixels);
    L::forEach(g.inputs, [&](int64_t c, auto n) {
      float* const to = v + tile * g.inputs + c;
      transformWindow([&](int i, int j) { return L::load(pixels[6 * i + j] + c, n); },
                      [&](int i, int j, const Vec& value) { L::store(to + (6 * i + j) * stride, value, n); });
    });
  }
}

// The pixels of a tile of y in `count` channels from `channel` on, from the sums of products m of these, `stride` apart.
void finishTile(const Geometry& g, const Place& place, const View& view, const Addends& addends, int64_t channel, int64_t count,
                const float* m, int64_t stride, float* y) {
  const int64_t down = std::min(kTile, g.height - place.y), across = std::min(kTile, g.width - place.x);
  const float* const bias = addends.bias == nullptr ? nullptr : addends.bias + (addends.biasPerImage ? place.image * g.outputs : 0) + channel;
  L::forEach(count, [&](int64_t c, auto n) {
    const Vec shift = bias == nullptr ? Vec(0) : L::load(bias + c, n);
    both2d<6, 4, transformOutput>([&](int i, int j) { return Vec::loadu(m + (6 * i + j) * stride + c); },
                                  [&](int i, int j, const Vec& product) {
                                    if (i >= down || j >= across) return;
                                    const int64_t at = view.at(g, place.image, place.y + i, place.x + j) + channel + c;
                                    Vec value = product + shift;
                                    if (addends.residual != nullptr) value = value + L::load(addends.residual + at, n);
                                    L::store(y + at, value, n);
                                  });
  });
}

}  // namespace

int64_t panelWidth() { return kPanel; }

void transformWeights(const Geometry& g, const float* w, bool rotated, int64_t panel, int64_t stride, float* u) {
  const int64_t outputStride = rotated ? 9 : 9 * g.inputs, inputStride = rotated ? 9 * g.outputs : 9;
  for (int64_t input = 0; input < g.inputs; ++input) {
    for (int64_t part = 0; part < kVectors; ++part) {
      const int64_t output = panel * kPanel + part * L::size;
      const int64_t lanes = std::clamp<int64_t>(g.outputs - output, 0, L::size);
      float taps[9][L::size] = {};
      const float* from = w + input * inputStride + output * outputStride;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        for (int tap = 0; tap < 9; ++tap) taps[tap][lane] = from[lane * outputStride + (rotated ? 8 - tap : tap)];
      }
      for (int64_t i = 0; i < g.phases(); ++i) {
        const Phase phase = rotated ? g.phase(i).turned() : g.phase(i);
        Vecs<9> filter;
        for (int tap = 0; tap < 9; ++tap) filter[tap] = Vec::loadu(taps[tap]);
        if (phase.scale > 1) foldFilter(phase, foldTaps, filter);
        float* const to = u + i * kPoints * stride + input * kPanel + part * L::size;
        both2d<3, 6, transformFilter>([&](int y, int x) { return filter[3 * y + x]; },
                                      [&](int y, int x, const Vec& value) { value.store(to + (6 * y + x) * stride); });
      }
    }
  }
}

uint64_t fingerprint(const float* values, int64_t count) {
  constexpr int64_t kLanes = 64, kStep = kLanes * 2;  // words of two floats
  uint64_t lanes[kLanes], words[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = static_cast<uint64_t>(i);
  const auto add = [&] {
    for (int64_t i = 0; i < kLanes; ++i) lanes[i] = mixed(lanes[i], words[i]);
  };
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    std::memcpy(words, values + i, sizeof(words));
    add();
  }
  std::memset(words, 0, sizeof(words));
  std::memcpy(words, values + i, sizeof(float) * static_cast<size_t>(count - i));
  add();
  uint64_t all = static_cast<uint64_t>(count);
  for (const uint64_t lane : lanes) all = mixed(all, lane);
  return all;
}

int64_t convolveScratch(const Geometry& g, int64_t block) {
  return kPoints * (pointStride(block * g.inputs) + pointStride(block * panelsOf(g.outputs) * kPanel)) + std::max(g.inputs, g.outputs);
}

void convolve(const Geometry& g, const float* x, const float* u, const Addends& addends, float* y, int64_t first, int64_t last,
              int64_t block, float* scratch) {
  const int64_t panels = panelsOf(g.outputs), row = panels * kPanel, uStride = pointStride(panels * g.inputs * kPanel);
  const bool gathers = g.doubled == Doubled::Input, scatters = g.doubled == Doubled::Output;
  float* const zeros = scratch;
  float* const v = zeros + std::max(g.inputs, g.outputs);
  float* const m = v + kPoints * pointStride(block * g.inputs);
  std::memset(zeros, 0, sizeof(float) * static_cast<size_t>(g.inputs));
  for (; first < last; first += block) {
    const int64_t count = std::min(block, last - first);
    const int64_t vStride = pointStride(count * g.inputs), mStride = pointStride(count * row);
    bool begun[kPoints] = {};
    for (int64_t i = 0; i < g.phases(); ++i) {
      const Phase phase = g.phase(i), filters = gathers ? phase.turned() : phase;
      if (i == 0 || gathers) transformTiles(g, View{x, g.inputs, gathers ? phase : Phase()}, first, count, vStride, zeros, v);
      for (int64_t p = 0; p < kPoints; ++p) {
        if (!filters.has(p)) {
          if (scatters) std::fill_n(m + p * mStride, count * row, 0.0f);
          continue;
        }
        for (int64_t panel = 0; panel < panels; ++panel) {
          multiply(count, v + p * vStride, g.inputs, 1, u + (i * kPoints + p) * uStride + panel * g.inputs * kPanel, g.inputs,
                   m + p * mStride + panel * kPanel, row, gathers && begun[p]);
        }
        begun[p] = true;
      }
      if (i + 1 < g.phases() && !scatters) continue;
      const View view{y, g.outputs, scatters ? phase : Phase()};
      for (int64_t tile = 0; tile < count; ++tile) {
        finishTile(g, Place(g, first + tile), view, addends, 0, g.outputs, m + tile * row, mStride, y);
      }
    }
  }
}

void transformWindows(const Geometry& g, const float* x, int64_t first, int64_t count, int64_t stride, const float* zeros, float* v) {
  transformTiles(g, View{x, g.inputs, Phase()}, first, count, stride, zeros, v);
}

void convolvePanel(const Geometry& g, const float* v, int64_t vStride, const float* u, int64_t uStride, const Addends& addends, float* y,
                   int64_t panel, int64_t block, float* m) {
  const View view{y, g.outputs, Phase()};
  const int64_t channel = panel * kPanel, channels = std::min(kPanel, g.outputs - channel);
  for (int64_t first = 0; first < g.tiles(); first += block) {
    const int64_t count = std::min(block, g.tiles() - first), mStride = pointStride(count * kPanel);
    for (int64_t p = 0; p < kPoints; ++p) {
      multiply(count, v + p * vStride + first * g.inputs, g.inputs, 1, u + p * uStride, g.inputs, m + p * mStride, kPanel, false);
    }
    for (int64_t tile = 0; tile < count; ++tile) {
      finishTile(g, Place(g, first + tile), view, addends, channel, channels, m + tile * kPanel, mStride, y);
    }
  }
}

int64_t correlateScratch(const Geometry& g, int64_t panels, int64_t block) {
  return kPoints * (pointStride(block * g.inputs) + pointStride(block * panels * kPanel)) + std::max(g.inputs, g.outputs);
}

void correlate(const Geometry& g, const float* x, const float* dy, int64_t first, int64_t last, int64_t firstPanel, int64_t lastPanel,
               int64_t block, float* sums, double* bias, float* scratch) {
  const int64_t panels = lastPanel - firstPanel, channel = firstPanel * kPanel;
  const int64_t outputs = std::min(panels * kPanel, g.outputs - channel);
  float* const zeros = scratch;
  float* const v = zeros + std::max(g.inputs, g.outputs);
  float* const d = v + kPoints * pointStride(block * g.inputs);
  std::memset(zeros, 0, sizeof(float) * static_cast<size_t>(std::max(g.inputs, g.outputs)));
  std::fill(bias, bias + g.images * panels * kPanel, 0.0);
  const int64_t sumStride = pointStride(panels * g.inputs * kPanel), phaseStride = kPoints * sumStride;
  bool add = false;
  for (; first < last; first += block, add = true) {
    const int64_t count = std::min(block, last - first);
    const int64_t vStride = pointStride(count * g.inputs), dStride = pointStride(count * panels * kPanel);
    transformTiles(g, View{x, g.inputs, Phase()}, first, count, vStride, zeros, v);
    for (int64_t i = 0; i < g.phases(); ++i) {
      const Phase phase = g.phase(i);
      const View from{dy, g.outputs, phase};
      for (int64_t tile = 0; tile < count; ++tile) {
        const Place place(g, first + tile);
        const float* pixels[16];
        pixelsAt<4>(from, g, place, 0, zeros, pixels);
        for (int64_t c = 0; c < panels * kPanel; c += L::size) {
          const int64_t lanes = std::clamp<int64_t>(outputs - c, 0, L::size);
          float* const to = d + (c / kPanel * count + tile) * kPanel + c % kPanel;
          Vec sum(0);
          both2d<4, 6, transformGradient>(
              [&](int i, int j) {
                const float* const at = pixels[4 * i + j] + channel + c;
                const Vec value = lanes == L::size ? L::load(at) : lanes == 0 ? Vec(0) : L::load(at, lanes);
                sum = sum + value;
                return value;
              },
              [&](int i, int j, const Vec& value) { value.store(to + (6 * i + j) * dStride); });
          float each[L::size];
          sum.store(each);
          double* const into = bias + place.image * panels * kPanel + c;
          for (int64_t lane = 0; lane < L::size; ++lane) into[lane] += each[lane];
        }
      }
      for (int64_t p = 0; p < kPoints; ++p) {
        if (!phase.has(p)) {
          if (!add) std::fill_n(sums + i * phaseStride + p * sumStride, panels * g.inputs * kPanel, 0.0f);
          continue;
        }
        for (int64_t panel = 0; panel < panels; ++panel) {
          multiply(g.inputs, v + p * vStride, 1, g.inputs, d + p * dStride + panel * count * kPanel, count,
                   sums + i * phaseStride + p * sumStride + panel * g.inputs * kPanel, kPanel, add);
        }
      }
    }
  }
}

void weightGradient(const Geometry& g, const float* sums, int64_t parts, int64_t stride, int64_t firstPanel, int64_t lastPanel,
                    float* dw) {
  const int64_t pStride = pointStride((lastPanel - firstPanel) * g.inputs * kPanel);
  for (int64_t panel = firstPanel; panel < lastPanel; ++panel) {
    for (int64_t input = 0; input < g.inputs; ++input) {
      for (int64_t part = 0; part < kVectors; ++part) {
        const int64_t output = panel * kPanel + part * L::size;
        const int64_t lanes = std::clamp<int64_t>(g.outputs - output, 0, L::size);
        if (lanes == 0) continue;
        Vecs<9> total;
        for (int64_t i = 0; i < g.phases(); ++i) {
          const Phase phase = g.phase(i);
          const float* const from = sums + i * kPoints * pStride + ((panel - firstPanel) * g.inputs + input) * kPanel + part * L::size;
          Vecs<9> taps;
          both2d<6, 3, transformSums>(
              [&](int y, int x) {
                const float* const at = from + (6 * y + x) * pStride;
                Vec sum = Vec::loadu(at);
                for (int64_t other = 1; other < parts; ++other) sum = sum + Vec::loadu(at + other * stride);
                return sum;
              },
              [&](int y, int x, const Vec& value) { taps[3 * y + x] = value; });
          if (phase.scale > 1) foldFilter(phase, unfoldTaps, taps);
          for (int tap = 0; tap < 9; ++tap) total[tap] = i == 0 ? taps[tap] : total[tap] + taps[tap];
        }
        float each[9][L::size];
        for (int tap = 0; tap < 9; ++tap) total[tap].store(each[tap]);
        for (int64_t lane = 0; lane < lanes; ++lane) {
          float* const to = dw + ((output + lane) * g.inputs + input) * 9;
          for (int tap = 0; tap < 9; ++tap) to[tap] = each[tap][lane];
        }
      }
    }
  }
}

void packPanels(const float* from, int64_t stride, int64_t columnStride, int64_t count, int64_t columns, int64_t firstPanel,
                int64_t lastPanel, float* to) {
  for (int64_t panel = firstPanel; panel < lastPanel; ++panel) {
    const int64_t width = std::min(kPanel, columns - panel * kPanel);
    const float* column = from + panel * kPanel * columnStride;
    float* row = to + panel * count * kPanel;
    for (int64_t k = 0; k < count; ++k, row += kPanel) {
      for (int64_t i = 0; i < kPanel; ++i) row[i] = i < width ? column[k * stride + i * columnStride] : 0;
    }
  }
}

void multiplyPanels(int64_t rows, int64_t count, int64_t columns, const float* left, int64_t rowStride, int64_t sumStride,
                    const float* panels, const float* bias, const float* residual, float* c, int64_t cStride) {
  constexpr int64_t kBlock = 4 * kRows;  // rows that stay in the first cache while the panels pass
  for (int64_t first = 0; first < rows; first += kBlock) {
    const int64_t some = std::min(kBlock, rows - first);
    for (int64_t panel = 0; panel < panelsOf(columns); ++panel) {
      const int64_t width = std::min(kPanel, columns - panel * kPanel);
      float* const to = c + first * cStride + panel * kPanel;
      float part[kBlock * kPanel];
      const bool whole = width == kPanel;
      multiply(some, left + first * rowStride, rowStride, sumStride, panels + panel * count * kPanel, count, whole ? to : part,
               whole ? cStride : kPanel, false);
      for (int64_t row = 0; row < some && !whole; ++row) std::copy_n(part + row * kPanel, width, to + row * cStride);
      for (int64_t row = 0; row < some && bias != nullptr; ++row) {
        for (int64_t i = 0; i < width; ++i) to[row * cStride + i] += bias[panel * kPanel + i];
      }
      for (int64_t row = 0; row < some && residual != nullptr; ++row) {
        const float* const added = residual + (first + row) * cStride + panel * kPanel;
        for (int64_t i = 0; i < width; ++i) to[row * cStride + i] += added[i];
      }
    }
  }
}

}  // namespace ld::winograd::CPU_CAPABILITY
