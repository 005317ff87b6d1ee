/** Correlation of two series: Pearson's of the values, Spearman's of their ranks. */

import { isConstant, mean, ranks } from './descriptive.js'

/** Pearson's r in [-1, 1]; NaN for fewer than two pairs or a constant series. */
export function pearson(x: readonly number[], y: readonly number[]): number {
  if (isConstant(x) || isConstant(y)) return Number.NaN
  const [centreX, centreY] = [mean(x), mean(y)]
  let xx = 0
  let yy = 0
  let xy = 0
  for (const [i, value] of x.entries()) {
    const dx = value - centreX
    const dy = (y[i] as number) - centreY
    xx += dx * dx
    yy += dy * dy
    xy += dx * dy
  }
  return xy / Math.sqrt(xx * yy)
}

/** Spearman's rho in [-1, 1], equal values sharing their mean rank; NaN for fewer than two pairs or a constant series. */
export function spearman(x: readonly number[], y: readonly number[]): number {
  return pearson(ranks(x).ranks, ranks(y).ranks)
}
