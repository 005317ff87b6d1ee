/** The expected radial error of a heatmap, and how it goes with the true one (McCouat and Voiculescu, "Contour-Hugging Heatmaps for Landmark Detection", CVPR 2022; evaluation.md 2.4). */

import { pearson, spearman } from '../statistics/correlation.js'
import { mean } from '../statistics/descriptive.js'
import type { Density } from './density.js'

/** Pixels at or below this share of the hottest one do not count in the expected radial error (jfm15's `evaluate.py`). */
export const defaultEreCutoff = 0.05

/**
 * Mean distance to the hottest pixel, over the pixels above `cutoff` of its probability, in the unit of `unit`: the size
 * [x, y] of a pixel.
 */
export function expectedRadialError(
  density: Density,
  unit: readonly [number, number],
  cutoff = defaultEreCutoff,
): number {
  const { layout, perPixel, mass, hottest } = density
  const [cx, cy] = [layout.x[hottest] as number, layout.y[hottest] as number]
  const least = cutoff * (perPixel[hottest] as number)
  let total = 0
  let sum = 0
  for (let i = 0; i < mass.length; i++) {
    if (!((perPixel[i] as number) > least)) continue
    const weight = mass[i] as number
    total += weight
    sum +=
      weight *
      Math.hypot(unit[0] * ((layout.x[i] as number) - cx), unit[1] * ((layout.y[i] as number) - cy))
  }
  // A cut-off of 1 leaves nothing above it: the hottest pixel alone, at no distance.
  return total === 0 ? 0 : sum / total
}

/** Points in a block of the published plot. */
const blockSize = 36

export interface ErrorCorrelation {
  /** Of the single points; NaN where either is constant. */
  pearson: number
  spearman: number
  /** Means over blocks of 36 points in the order of their expected error; a last incomplete block is left out, as in jfm15's `plots.py`. */
  blocks: { size: number; expected: number[]; error: number[]; pearson: number }
}

/** How the true errors go with the expected ones, both in mm, point by point. */
export function correlateErrors(
  expected: readonly number[],
  errors: readonly number[],
): ErrorCorrelation {
  // Equal expectations are ordered by their error, so that the order of the images does not matter.
  const order = expected
    .map((_, i) => i)
    .sort(
      (a, b) =>
        (expected[a] as number) - (expected[b] as number) ||
        (errors[a] as number) - (errors[b] as number),
    )
  const count = Math.floor(order.length / blockSize)
  const block = (values: readonly number[]) =>
    Array.from({ length: count }, (_, b) =>
      mean(order.slice(b * blockSize, (b + 1) * blockSize).map((i) => values[i] as number)),
    )
  const [blockedExpected, blockedErrors] = [block(expected), block(errors)]
  return {
    pearson: pearson(expected, errors),
    spearman: spearman(expected, errors),
    blocks: {
      size: blockSize,
      expected: blockedExpected,
      error: blockedErrors,
      pearson: pearson(blockedExpected, blockedErrors),
    },
  }
}
