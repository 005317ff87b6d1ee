/**
 * Deformations of the image plane as one cubic B-spline lattice: an affine map plus a smooth random
 * displacement. Cubic B-splines reproduce affine maps exactly, so the lattice holds both, and the map
 * of a whole image is two matrix products (rows x lattice x columns). The same lattice is evaluated
 * here in double precision for points, whose images under the inverse are exact.
 *
 * The random part stands for imgaug's ElasticTransformation, uniform noise under a Gaussian blur of
 * `sigma`: a B-spline of spacing h is bell-shaped with a standard deviation of h / sqrt(3), so the
 * spacing is sigma sqrt(3) and the noise sits on the knots.
 */
import type { Affine, Point, Size } from '../landmarks/geometry.js'
import type { Random } from './random.js'

/** Knots for an image size: knot i lies at (i - 1) * spacing, from one before the image to one after it. */
export interface Lattice {
  readonly size: Size
  readonly spacing: { readonly x: number; readonly y: number }
  readonly columns: number
  readonly rows: number
}

export function latticeFor(size: Size, spacing: { x: number; y: number }): Lattice {
  const knots = (length: number, step: number) => Math.floor((length - 1) / step) + 4
  return {
    size,
    spacing,
    columns: knots(size.width, spacing.x),
    rows: knots(size.height, spacing.y),
  }
}

/** Writes the weights of the four knots around a place `t` in [0, 1) between the middle two. */
function writeCubicWeights(out: Float64Array, t: number): void {
  const s = 1 - t
  const t2 = t * t
  const t3 = t2 * t
  out[0] = (s * s * s) / 6
  out[1] = (3 * t3 - 6 * t2 + 4) / 6
  out[2] = (-3 * t3 + 3 * t2 + 3 * t + 1) / 6
  out[3] = t3 / 6
}

/** Of the place at hand. A batch asks for thousands: arrays of their own would be most of its garbage. */
const across = new Float64Array(4)
const down = new Float64Array(4)

/** [length * knots]: the weight of each knot for each pixel of an axis. */
export function splineBasis(length: number, step: number, knots: number): Float32Array {
  const basis = new Float32Array(length * knots)
  for (let i = 0; i < length; i++) {
    const first = Math.floor(i / step)
    writeCubicWeights(across, i / step - first)
    basis.set(across, i * knots + first)
  }
  return basis
}

/**
 * Standard deviation of a displacement, per axis, of imgaug's elastic transformation: U(-1, 1) has
 * the variance 1/3, and the blur divides it by 4 pi sigma^2. 2.7 px for alpha 500 and sigma 30.
 */
export function elasticDeviation(alpha: number, sigma: number): number {
  return alpha / Math.sqrt(3 * 4 * Math.PI * sigma * sigma)
}

/** The mean square of a random cubic B-spline whose knots have unit variance is this, squared in 2-D. */
const meanSquareOfSpline = 151 / 315

/**
 * A map from output pixels to input pixels (as image resampling needs it): `affine(q + d(q))` with
 * a smooth displacement d that vanishes outside the lattice.
 */
export class Warp {
  /** Displacements at the knots, [rows * columns] of x, then of y, pixels; null for none. */
  readonly #knots: Float64Array | null
  /** The displacement asked for last. */
  #dx = 0
  #dy = 0

  constructor(
    readonly lattice: Lattice,
    readonly affine: Affine,
    knots: Float64Array | null = null,
  ) {
    this.#knots = knots
  }

  /** With random knots such that displacements have this standard deviation on each axis, pixels. */
  static random(
    lattice: Lattice,
    affine: Affine,
    deviation: { x: number; y: number },
    random: Random,
  ): Warp {
    const count = lattice.rows * lattice.columns
    const knots = new Float64Array(2 * count)
    const amplitude = Math.sqrt(3) / meanSquareOfSpline // of a uniform distribution
    for (let i = 0; i < count; i++) knots[i] = random.uniform(-1, 1) * amplitude * deviation.x
    for (let i = count; i < 2 * count; i++)
      knots[i] = random.uniform(-1, 1) * amplitude * deviation.y
    return new Warp(lattice, affine, knots)
  }

  /** The displacement at an output pixel. */
  displacement([x, y]: Point): Point {
    this.#displace(x, y)
    return [this.#dx, this.#dy]
  }

  #displace(x: number, y: number): void {
    this.#dx = 0
    this.#dy = 0
    if (!this.#knots) return
    const { columns, rows, spacing } = this.lattice
    const column = Math.floor(x / spacing.x)
    const row = Math.floor(y / spacing.y)
    writeCubicWeights(across, x / spacing.x - column)
    writeCubicWeights(down, y / spacing.y - row)
    let dx = 0
    let dy = 0
    for (let j = 0; j < 4; j++) {
      if (row + j < 0 || row + j >= rows) continue
      for (let i = 0; i < 4; i++) {
        if (column + i < 0 || column + i >= columns) continue
        const weight = (across[i] as number) * (down[j] as number)
        const at = (row + j) * columns + column + i
        dx += weight * (this.#knots[at] as number)
        dy += weight * (this.#knots[rows * columns + at] as number)
      }
    }
    this.#dx = dx
    this.#dy = dy
  }

  /** Output pixel to input pixel. */
  apply(point: Point): Point {
    const [dx, dy] = this.displacement(point)
    return this.affine.apply([point[0] + dx, point[1] + dy])
  }

  /** Input pixel to output pixel: the fixed point of q = affine^-1(p) - d(q), to 1e-9 pixels. */
  invert(point: Point): Point {
    const [x, y] = this.affine.inverse().apply(point)
    if (!this.#knots) return [x, y]
    let qx = x
    let qy = y
    for (let i = 0; i < 60; i++) {
      this.#displace(qx, qy)
      const moved = Math.abs(x - this.#dx - qx) + Math.abs(y - this.#dy - qy)
      qx = x - this.#dx
      qy = y - this.#dy
      if (moved < 1e-10) break
    }
    return [qx, qy]
  }

  /**
   * The whole map on the lattice, in the coordinates of `grid_sample` with aligned corners (-1 the
   * centre of the first pixel, 1 that of the last): rows * columns of x, then of y, written at `offset`.
   */
  writeSamplingLattice(out: Float32Array, offset: number): void {
    const { columns, rows, spacing, size } = this.lattice
    const count = rows * columns
    for (let j = 0; j < rows; j++)
      for (let i = 0; i < columns; i++) {
        const at = j * columns + i
        const dx = this.#knots ? (this.#knots[at] as number) : 0
        const dy = this.#knots ? (this.#knots[count + at] as number) : 0
        const [x, y] = this.affine.apply([(i - 1) * spacing.x + dx, (j - 1) * spacing.y + dy])
        out[offset + at] = (2 * x) / (size.width - 1) - 1
        out[offset + count + at] = (2 * y) / (size.height - 1) - 1
      }
  }
}
