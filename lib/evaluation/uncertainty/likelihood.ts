/** Likelihood of the truth under a heatmap, in nats per mm^2, so that canvases of different resolution can be compared (evaluation.md 2.4). */

import { mean, quantile } from '../statistics/descriptive.js'

/** -ln(p / a) for a pixel of the area a in mm^2. */
export function densityNll(log: number, pixelArea: number): number {
  return Math.log(pixelArea) - log
}

export interface Likelihood {
  /** Points whose truth lies on the canvas. */
  points: number
  outside: number
  /** Nats per mm^2. */
  mean: number
  median: number
}

/** values: -ln density of each truth; null outside of the canvas. */
export function summarizeNll(values: readonly (number | null)[]): Likelihood {
  const inside = values.filter((value) => value !== null)
  return {
    points: inside.length,
    outside: values.length - inside.length,
    mean: mean(inside),
    median: quantile(
      inside.sort((a, b) => a - b),
      0.5,
    ),
  }
}
