/** Least-squares line of y on x. */

import { isConstant, mean } from './descriptive.js'
import { studentT } from './distributions.js'

export interface RegressionLine {
  slope: number
  intercept: number
  slopeCi95: [number, number]
  /** Two-sided p of slope 0. */
  p: number
}

/** The line through at least three pairs; all NaN for fewer, or where x is constant. */
export function linearRegression(x: readonly number[], y: readonly number[]): RegressionLine {
  const n = x.length
  const [centreX, centreY] = [mean(x), mean(y)]
  let xx = 0
  let xy = 0
  for (const [i, value] of x.entries()) {
    xx += (value - centreX) ** 2
    xy += (value - centreX) * ((y[i] as number) - centreY)
  }
  if (n < 3 || isConstant(x)) {
    const none = Number.NaN
    return { slope: none, intercept: none, slopeCi95: [none, none], p: none }
  }
  const slope = xy / xx
  const intercept = centreY - slope * centreX
  const residual = x.reduce(
    (sum, value, i) => sum + ((y[i] as number) - intercept - slope * value) ** 2,
    0,
  )
  const error = Math.sqrt(residual / (n - 2) / xx)
  const t = studentT(n - 2)
  const half = t.quantile(0.975) * error
  return {
    slope,
    intercept,
    slopeCi95: [slope - half, slope + half],
    p: 2 * t.survival(Math.abs(slope / error)),
  }
}
