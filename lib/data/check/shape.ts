/**
 * Where each landmark is expected from the other ones: shapes are laid on their median shape by a
 * robust similarity (Procrustes analysis with Cauchy weights), so that a few wrong points stand out
 * instead of pulling the fit.
 */

import type { Point } from '../../landmarks/geometry.js'

/** The points of one image by one annotator, in mm (or pixels where the scale is unknown). */
export interface Shape {
  readonly id: string
  readonly annotator: string
  readonly points: readonly (Point | null)[]
}

/** Where a shape lies relative to the median shape, in the units of the shapes. */
export interface FittedShape extends Shape {
  /** Observed minus expected place of each landmark in the frame of the median shape. */
  readonly residuals: readonly (Point | null)[]
  /** Size relative to the frame of the median shape. */
  readonly scale: number
}

export interface ShapeModel {
  readonly fitted: readonly FittedShape[]
  /** Median place of each landmark; null for one that is hardly ever marked. */
  readonly median: readonly (Point | null)[]
  /** Robust spread of the residuals of each landmark along x and y: 1.4826 MAD, which is the SD of a normal distribution. */
  readonly spread: readonly Point[]
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** The similarity x' = a x - b y + c, y' = b x + a y + d. */
interface Similarity {
  a: number
  b: number
  c: number
  d: number
}

/** Weighted least squares of the similarity that takes `from` to `to`. */
function similarity(from: readonly Point[], to: readonly Point[], weights: readonly number[]) {
  let [w, fx, fy, tx, ty] = [0, 0, 0, 0, 0]
  for (const [i, weight] of weights.entries()) {
    const [f, t] = [from[i] as Point, to[i] as Point]
    w += weight
    fx += weight * f[0]
    fy += weight * f[1]
    tx += weight * t[0]
    ty += weight * t[1]
  }
  const [mfx, mfy, mtx, mty] = [fx / w, fy / w, tx / w, ty / w]
  let [real, imaginary, norm] = [0, 0, 0]
  for (const [i, weight] of weights.entries()) {
    const [x, y] = [(from[i] as Point)[0] - mfx, (from[i] as Point)[1] - mfy]
    const [u, v] = [(to[i] as Point)[0] - mtx, (to[i] as Point)[1] - mty]
    real += weight * (x * u + y * v)
    imaginary += weight * (x * v - y * u)
    norm += weight * (x * x + y * y)
  }
  const [a, b] = norm > 0 ? [real / norm, imaginary / norm] : [1, 0]
  return { a, b, c: mtx - a * mfx + b * mfy, d: mty - b * mfx - a * mfy }
}

function apply({ a, b, c, d }: Similarity, [x, y]: Point): Point {
  return [a * x - b * y + c, b * x + a * y + d]
}

/** The robust similarity of a shape onto `target`; points far from their place lose their say. */
function robustFit(points: readonly (Point | null)[], target: readonly (Point | null)[]) {
  const both = points.flatMap((point, j) => {
    const place = target[j]
    return point && place ? [{ from: point, to: place }] : []
  })
  if (both.length < 3) return null
  const from = both.map((pair) => pair.from)
  const to = both.map((pair) => pair.to)
  let weights = both.map(() => 1)
  let map = similarity(from, to, weights)
  for (let round = 0; round < 10; round++) {
    const errors = from.map((point, i) => {
      const [x, y] = apply(map, point)
      return Math.hypot(x - (to[i] as Point)[0], y - (to[i] as Point)[1])
    })
    const width = Math.max(median(errors), 1e-9)
    weights = errors.map((error) => 1 / (1 + (error / (2 * width)) ** 2))
    map = similarity(from, to, weights)
  }
  return map
}

export function medianPoint(points: readonly Point[]): Point {
  return [median(points.map(([x]) => x)), median(points.map(([, y]) => y))]
}

/** The model of shapes of one landmark set. Shapes with fewer than three points are left out; null for fewer than 8 shapes, which show no rule to break. */
export function fitShapes(shapes: readonly Shape[]): ShapeModel | null {
  const usable = shapes.filter(({ points }) => points.filter((point) => point).length >= 3)
  if (usable.length < 8) return null
  const complete = (shape: Shape) => shape.points.filter((point) => point).length
  let target = usable.reduce((best, shape) =>
    complete(shape) > complete(best) ? shape : best,
  ).points
  const columns = target.map((_, j) => j)
  let fitted: FittedShape[] = []
  // The first target is one arbitrary shape; two more rounds make it the median of all.
  for (let round = 0; round < 3; round++) {
    const laid = usable.flatMap((shape) => {
      const map = robustFit(shape.points, target)
      if (map === null) return []
      return [{ shape, map, places: shape.points.map((point) => point && apply(map, point)) }]
    })
    target = columns.map((j) => {
      const places = laid.map(({ places: all }) => all[j]).filter((place) => place != null)
      return places.length >= 4 ? medianPoint(places) : null
    })
    fitted = laid.map(({ shape, map, places }) => ({
      ...shape,
      scale: 1 / Math.hypot(map.a, map.b),
      residuals: places.map((place, j): Point | null => {
        const expected = target[j]
        return place && expected ? [place[0] - expected[0], place[1] - expected[1]] : null
      }),
    }))
  }
  const spread = columns.map((j): Point => {
    const residuals = fitted.map((shape) => shape.residuals[j]).filter((value) => value != null)
    if (residuals.length === 0) return [1, 1]
    const axis = (k: 0 | 1) => Math.max(1.4826 * median(residuals.map((r) => Math.abs(r[k]))), 1e-6)
    return [axis(0), axis(1)]
  })
  return { fitted, median: target, spread }
}

/** How many robust SDs a residual is long. */
export function robustDistance([x, y]: Point, [sx, sy]: Point): number {
  return Math.hypot(x / sx, y / sy)
}
