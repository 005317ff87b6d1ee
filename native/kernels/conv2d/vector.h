// The loops of a 3x3 convolution (stride 1, padding 1) by Winograd's minimal filtering F(4x4, 3x3): Lavin and Gray 2015
// (arXiv 1509.09308), with the points 0, +-1/sqrt(2), +-sqrt(2) and infinity, whose rounding errors are about twice those
// of the direct sum. 36 products a tile of 4x4 outputs instead of 144. All activations are channels_last, float32.
//
// The matrices of each of the 36 points are multiplied in panels of output channels: weights [panels][inputs][panel] by
// windows [tiles][inputs]. Those of different points are pointStride(elements of one) apart.
//
// Where a picture is doubled by repetition before it is convolved, each of the four phases of the result (rows and columns,
// even or odd) sees 2x2 pixels of the small picture: its filter is one of 3x3 with a row and a column of zeros, which are
// zero at 11 of the points too. So 100 products a small tile do what takes 144 on four tiles of the doubled picture, and
// nothing is doubled. Weights of the phases follow one another, as do sums; each phase has room for all points.
#pragma once

#include <cstdint>

#include "kernels/capability.h"

namespace ld::winograd {

inline constexpr int64_t kTile = 4, kPoints = 36;

// An odd number of cache lines: at multiples of a page, what is written for 36 points would fight for one set.
constexpr int64_t pointStride(int64_t floats) { return ((floats + 15) / 16 | 1) * 16; }

// Which of the two pictures of a convolution, what it reads or what it writes, is twice as large as the other.
enum class Doubled { Neither, Input, Output };

// A pixel of the block of scale x scale pixels that belongs to one pixel of the small picture.
struct Phase {
  int64_t scale = 1, y = 0, x = 0;
  // That of a filter turned by 180 degrees.
  Phase turned() const { return {scale, scale - 1 - y, scale - 1 - x}; }
  // Whether its filters have anything at this point: in a row or column of an even phase the last is zero, of an odd one
  // the first.
  bool has(int64_t point) const { return scale == 1 || (point / 6 != (y == 0 ? 5 : 0) && point % 6 != (x == 0 ? 5 : 0)); }
};

// Height and width are of the smaller picture.
struct Geometry {
  int64_t images, height, width, inputs, outputs;
  Doubled doubled = Doubled::Neither;
  int64_t phases() const { return doubled == Doubled::Neither ? 1 : 4; }
  Phase phase(int64_t i) const { return doubled == Doubled::Neither ? Phase() : Phase{2, i / 2, i % 2}; }
  int64_t tilesDown() const { return (height + kTile - 1) / kTile; }
  int64_t tilesAcross() const { return (width + kTile - 1) / kTile; }
  int64_t tiles() const { return images * tilesDown() * tilesAcross(); }
};

// A step of a fingerprint: one to one in each of its arguments, so that a change of one word alone is never missed.
inline uint64_t mixed(uint64_t before, uint64_t word) {
  const uint64_t product = (before ^ word) * 0x9e3779b97f4a7c15u;
  return product << 29 | product >> 35;
}

// Output channels, or with `biasPerImage` [images, outputs]; residual has y's shape; both may be null.
struct Addends {
  const float* bias;
  bool biasPerImage;
  const float* residual;
};

LD_FOR_EACH_CAPABILITY(
    int64_t panelWidth();
    // Transforms the filters of a panel, of all phases, into [inputs][panel] for each point, `stride` apart. `rotated` reads
    // w [inputs][outputs][3][3] turned by 180 degrees, as the gradient of the input wants it; else w is
    // [outputs][inputs][3][3].
    void transformWeights(const Geometry& g, const float* w, bool rotated, int64_t panel, int64_t stride, float* u);
    // 64 bits that tell these values from others.
    uint64_t fingerprint(const float* values, int64_t count);
    // Floats of scratch memory that `convolve` wants for blocks of that many tiles.
    int64_t convolveScratch(const Geometry& g, int64_t block);
    // y of the tiles first to last. Of a doubled input, `u` are filters that were rotated.
    void convolve(const Geometry& g, const float* x, const float* u, const Addends& addends, float* y, int64_t first, int64_t last,
                  int64_t block, float* scratch);
    // In two steps for few tiles. The windows of some tiles, [tiles][inputs] for each point, `stride` apart; zeros: `inputs`
    // of them.
    void transformWindows(const Geometry& g, const float* x, int64_t first, int64_t count, int64_t stride, const float* zeros, float* v);
    // y of a panel's channels, from the windows of all tiles, vStride apart, and the panel's filters, uStride apart. m:
    // scratch memory for kPoints * pointStride(block * panelWidth()) floats. Nothing is doubled.
    void convolvePanel(const Geometry& g, const float* v, int64_t vStride, const float* u, int64_t uStride, const Addends& addends,
                       float* y, int64_t panel, int64_t block, float* m);
    int64_t correlateScratch(const Geometry& g, int64_t panels, int64_t block);
    // Sums of transformed x times transformed dy over the tiles first to last, of some panels and all phases, in the layout
    // of the weights (only those panels); and of dy per image and channel into bias [images][panels * panel].
    void correlate(const Geometry& g, const float* x, const float* dy, int64_t first, int64_t last, int64_t firstPanel, int64_t lastPanel,
                   int64_t block, float* sums, double* bias, float* scratch);
    // dw [outputs][inputs][3][3] of some panels from `parts` such sums, which are `stride` floats apart.
    void weightGradient(const Geometry& g, const float* sums, int64_t parts, int64_t stride, int64_t firstPanel, int64_t lastPanel,
                        float* dw);

    // Panels [panels][count][panel] of the matrix whose element (k, column) is from[k * stride + column * columnStride].
    void packPanels(const float* from, int64_t stride, int64_t columnStride, int64_t count, int64_t columns, int64_t firstPanel,
                    int64_t lastPanel, float* to);
    // c (row, column) = bias[column] + residual (row, column) + sum over k of left[row * rowStride + k * sumStride] (k, column),
    // in packed panels; bias and residual may be null, rows of c and residual are cStride apart.
    void multiplyPanels(int64_t rows, int64_t count, int64_t columns, const float* left, int64_t rowStride, int64_t sumStride,
                        const float* panels, const float* bias, const float* residual, float* c, int64_t cStride);)

}  // namespace ld::winograd
