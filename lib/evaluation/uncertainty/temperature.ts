/** Temperature scaling of heatmaps: one temperature a landmark, p^(1/T) (Guo et al., ICML 2017; for landmarks McCouat and Voiculescu, CVPR 2022; evaluation.md 2.4). */

import { type Density, pixelsOf } from './density.js'
import { modeReliability } from './reliability.js'

/** What a temperature changes of one heatmap, in few bytes: the values of its pixels without their places. */
export interface LabelledHeatmap {
  landmark: number
  /** Log-probability of a pixel of each cell, and the pixels of the cell. */
  logs: Float32Array
  pixels: Uint32Array
  /** Log-probability of the truth's pixel; null outside of the canvas. */
  truth: number | null
  /** Radial error of the point in mm, and area of a pixel of the canvas in mm^2. */
  error: number
  pixelArea: number
}

export function labelHeatmap(
  density: Density,
  point: Pick<LabelledHeatmap, 'landmark' | 'truth' | 'error' | 'pixelArea'>,
): LabelledHeatmap {
  const { logs, layout } = density
  const pixels = new Uint32Array(logs.length)
  for (let i = 0; i < pixels.length; i++) pixels[i] = pixelsOf(layout, i)
  return { ...point, logs: new Float32Array(logs), pixels }
}

export interface Temperatures {
  /** One a landmark; 1 where nothing was there to fit. */
  values: number[]
  /** Points that they were fitted on, and points on which the strength was chosen. */
  fitted: number
  chosen: number
  /** The share of the way, in log T, from 1 to the temperatures of least NLL that has the least ECE on the second half. */
  strength: number
  /** ECE on the second half, in percent, at T = 1 and at the temperatures. */
  ece: { before: number; after: number }
}

const strengths = [1, 0.75, 0.5, 0.25, 0]

/**
 * Temperatures of least NLL on `first`, then the strength of least ECE on `second` (all landmarks together, as jfm15's
 * script looks at the ECE of a second half after each epoch of its fit on the first).
 */
export function fitTemperatures(
  first: readonly LabelledHeatmap[],
  second: readonly LabelledHeatmap[],
  landmarks: number,
): Temperatures {
  const full = Array.from({ length: landmarks }, (_, j) =>
    leastNllTemperature(first.filter(({ landmark }) => landmark === j)),
  )
  const at = (strength: number) => full.map((temperature) => temperature ** strength)
  const candidates = strengths.map((strength) => {
    const values = at(strength)
    const points = second.map(({ landmark, error, pixelArea, ...heatmap }) => {
      const { confidence } = tempered(heatmap, 1 / (values[landmark] as number))
      return { confidence, error, pixelArea }
    })
    return { strength, values, ece: modeReliability(points)?.ece ?? Number.NaN }
  })
  const best = candidates.reduce((a, b) => (b.ece < a.ece ? b : a))
  return {
    values: best.values,
    fitted: first.length,
    chosen: second.length,
    strength: best.strength,
    ece: { before: candidates.at(-1)?.ece ?? Number.NaN, after: best.ece },
  }
}

/** Temperatures outside of this range are signs of a fit to nothing. */
const temperatureRange = [1 / 16, 16] as const

/**
 * With b = 1 / T the NLL is the mean of ln sum p^b - b ln p(truth): convex, with the derivative E_b[ln p] - ln p(truth)
 * and the second derivative Var_b[ln p]. Its root is found by Newton's method, kept inside a shrinking bracket.
 */
export function leastNllTemperature(points: readonly LabelledHeatmap[]): number {
  const usable = points.filter(({ truth }) => truth !== null && Number.isFinite(truth))
  if (usable.length === 0) return 1
  let [low, high] = [1 / temperatureRange[1], 1 / temperatureRange[0]]
  let b = 1
  for (let iteration = 0; iteration < 60; iteration++) {
    let [slope, curvature] = [0, 0]
    for (const point of usable) {
      const { mean, variance } = tempered(point, b)
      slope += mean - (point.truth as number)
      curvature += variance
    }
    if (slope > 0) high = b
    else low = b
    const newton = b - slope / curvature
    const next = newton > low && newton < high ? newton : Math.sqrt(low * high)
    if (Math.abs(next - b) < 1e-10 * b) return 1 / next
    b = next
  }
  return 1 / b
}

/** Mean and variance of ln p under p^b, normalised, and the greatest probability of a pixel then. */
function tempered({ logs, pixels }: Pick<LabelledHeatmap, 'logs' | 'pixels'>, b: number) {
  let [total, first, second, hottest] = [0, 0, 0, 0]
  for (let i = 0; i < logs.length; i++) {
    const log = logs[i] as number
    if (log === Number.NEGATIVE_INFINITY) continue
    const one = Math.exp(b * log)
    const weight = (pixels[i] as number) * one
    hottest = Math.max(hottest, one)
    total += weight
    first += weight * log
    second += weight * log * log
  }
  const mean = first / total
  return {
    mean,
    variance: Math.max(0, second / total - mean * mean),
    confidence: hottest / total,
  }
}
