/** Wilcoxon's signed-rank test (1945) of paired differences; zeros, ties and the choice of method as in SciPy's `wilcoxon`. */

import { ranks } from './descriptive.js'
import { normal } from './distributions.js'

export interface WilcoxonResult {
  /** The smaller of the two rank sums. */
  statistic: number
  /** Two-sided; NaN where no difference is left. */
  p: number
  method: 'exact' | 'normal approximation'
}

/**
 * Two-sided p of a rank sum when every sign is as likely as its opposite, by counting all 2^n sign patterns.
 * Works for ties too: ranks are multiples of a half, so twice their sum is a whole number.
 */
function exactP(rankOf: readonly number[], positiveSum: number): number {
  const doubled = rankOf.map((rank) => Math.round(2 * rank))
  const total = doubled.reduce((sum, rank) => sum + rank, 0)
  const probability = new Float64Array(total + 1)
  probability[0] = 1
  let reached = 0
  for (const rank of doubled) {
    reached += rank
    for (let sum = reached; sum >= 0; sum--) {
      const without = probability[sum] as number
      const included = sum >= rank ? (probability[sum - rank] as number) : 0
      probability[sum] = (without + included) / 2
    }
  }
  const observed = Math.round(2 * positiveSum)
  const tail = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0)
  const lower = tail(probability.subarray(0, observed + 1))
  const upper = tail(probability.subarray(observed))
  return Math.min(1, 2 * Math.min(lower, upper))
}

/**
 * Tests whether differences are symmetric around 0. Zeros are dropped. Exact for up to 50 differences without zeros and
 * ties, and for up to 13 with; else the normal approximation with the variance corrected for ties.
 */
export function wilcoxonSignedRank(differences: readonly number[]): WilcoxonResult {
  const kept = differences.filter((difference) => difference !== 0)
  const { ranks: rankOf, groups } = ranks(kept.map(Math.abs))
  const sumOf = (side: (difference: number) => boolean) =>
    kept.reduce((sum, difference, i) => sum + (side(difference) ? (rankOf[i] as number) : 0), 0)
  const positiveSum = sumOf((difference) => difference > 0)
  const statistic = Math.min(
    positiveSum,
    sumOf((difference) => difference < 0),
  )
  const n = kept.length
  const isPlain = n === differences.length && groups.every((size) => size === 1)
  const isExact = differences.length <= (isPlain ? 50 : 13)
  const method = isExact ? 'exact' : 'normal approximation'
  if (n === 0) return { statistic: 0, p: Number.NaN, method }
  if (isExact) return { statistic, p: exactP(rankOf, positiveSum), method }
  const ties = groups.reduce((sum, size) => sum + size ** 3 - size, 0)
  const deviation = Math.sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24)
  const z = (positiveSum - (n * (n + 1)) / 4) / deviation
  return { statistic, p: 2 * normal.survival(Math.abs(z)), method }
}
