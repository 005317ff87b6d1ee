/** Area under the ROC curve as a rank statistic (Hanley and McNeil, Radiology 1982, 143:29-36). */

import { ranks } from './descriptive.js'

/** Probability that a positive scores above a negative, equal scores counting one half; NaN without a positive or a negative. */
export function rocAuc(scores: readonly number[], isPositive: readonly boolean[]): number {
  const { ranks: rankOf } = ranks(scores)
  const positives = isPositive.filter(Boolean).length
  const negatives = scores.length - positives
  if (positives === 0 || negatives === 0) return Number.NaN
  const sum = rankOf.reduce((total, rank, i) => total + (isPositive[i] ? rank : 0), 0)
  return (sum - (positives * (positives + 1)) / 2) / (positives * negatives)
}
