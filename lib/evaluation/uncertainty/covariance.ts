/** 2 x 2 covariances of a landmark's position, and their parts within and between sampled chains (evaluation.md 2.4; law of total variance). */

import type { Point } from '../predictions.js'
import type { Density } from './density.js'

/** Symmetric, in mm^2 or square pixels. */
export type Covariance = readonly [readonly [number, number], readonly [number, number]]

/** Mean position and covariance of one chain's heatmap, or of all of them together. */
export interface Moments {
  readonly mean: Point
  readonly covariance: Covariance
}

export function determinant([[a, b], [c, d]]: Covariance): number {
  return a * d - b * c
}

/** Whether a matrix is symmetric and positive definite, so that it has an ellipse. */
export function isCovariance(matrix: readonly (readonly number[])[]): matrix is Covariance {
  const [[a = 0, b = 0] = [], [c = 0, d = 0] = []] = matrix
  const finite = [a, b, c, d].every(Number.isFinite)
  // A file rounds its figures, so the two mixed ones may differ in the last digit.
  return finite && Math.abs(b - c) <= 1e-4 * Math.sqrt(a * d) && a > 0 && a * d - b * c > 0
}

/** [[sx, 0], [0, sy]] C [[sx, 0], [0, sy]]: a covariance in other units. */
export function scaleCovariance([[a, b], [c, d]]: Covariance, [sx, sy]: Point): Covariance {
  return [
    [a * sx * sx, b * sx * sy],
    [c * sx * sy, d * sy * sy],
  ]
}

/** d' C^-1 d: the squared Mahalanobis distance of a deviation. */
export function squaredMahalanobis([dx, dy]: Point, covariance: Covariance): number {
  const [[a, b], [c, d]] = covariance
  return (d * dx * dx - (b + c) * dx * dy + a * dy * dy) / determinant(covariance)
}

/** Standard deviations along the major and the minor axis. */
export function principalAxes([[a, b], [c, d]]: Covariance): [number, number] {
  const centre = (a + d) / 2
  const radius = Math.hypot((a - d) / 2, (b + c) / 2)
  return [Math.sqrt(centre + radius), Math.sqrt(Math.max(0, centre - radius))]
}

export function meanCovariance(all: readonly Covariance[]): Covariance {
  const at = (row: 0 | 1, column: 0 | 1) =>
    all.reduce((sum, covariance) => sum + covariance[row][column], 0) / all.length
  return [
    [at(0, 0), at(0, 1)],
    [at(1, 0), at(1, 1)],
  ]
}

/** Mean and population covariance of points: each of them counts 1 / M, as each chain does in the mean of their heatmaps. */
export function pointMoments(points: readonly Point[]): Moments {
  const count = points.length
  const mx = points.reduce((sum, [x]) => sum + x, 0) / count
  const my = points.reduce((sum, [, y]) => sum + y, 0) / count
  let [xx, xy, yy] = [0, 0, 0]
  for (const [x, y] of points) {
    xx += (x - mx) ** 2 / count
    xy += ((x - mx) * (y - my)) / count
    yy += (y - my) ** 2 / count
  }
  return {
    mean: [mx, my],
    covariance: [
      [xx, xy],
      [xy, yy],
    ],
  }
}

/** The chains together: `total` = `within` (mean of the chains' covariances) + `between` (covariance of their means). */
export function combineChains(chains: readonly Moments[]): {
  mean: Point
  total: Covariance
  within: Covariance
  between: Covariance
} {
  const within = meanCovariance(chains.map(({ covariance }) => covariance))
  const { mean, covariance: between } = pointMoments(chains.map((chain) => chain.mean))
  const add = (row: 0 | 1, column: 0 | 1) => within[row][column] + between[row][column]
  return {
    mean,
    within,
    between,
    total: [
      [add(0, 0), add(0, 1)],
      [add(1, 0), add(1, 1)],
    ],
  }
}

/**
 * Mean (in pixels of the canvas) and covariance (in the unit of `unit`, squared) of a heatmap. To the covariance of the
 * pixels' centres comes that of a position within a pixel, s^2 / 12 on either axis.
 */
export function densityMoments(density: Density, [ux, uy]: readonly [number, number]): Moments {
  const { layout, mass } = density
  let [mx, my] = [0, 0]
  for (let i = 0; i < mass.length; i++) {
    mx += (mass[i] as number) * (layout.x[i] as number)
    my += (mass[i] as number) * (layout.y[i] as number)
  }
  let [xx, xy, yy] = [0, 0, 0]
  for (let i = 0; i < mass.length; i++) {
    const p = mass[i] as number
    const [dx, dy] = [(layout.x[i] as number) - mx, (layout.y[i] as number) - my]
    // A position that is uniform over a cell of w pixels has the variance w^2 / 12.
    xx += p * (dx * dx + (layout.spanX[i] as number) ** 2 / 12)
    xy += p * dx * dy
    yy += p * (dy * dy + (layout.spanY[i] as number) ** 2 / 12)
  }
  return {
    mean: [mx, my],
    covariance: scaleCovariance(
      [
        [xx, xy],
        [xy, yy],
      ],
      [ux, uy],
    ),
  }
}
