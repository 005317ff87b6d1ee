/** How well the expected radial error finds the gross errors: the ROC curve of an outlier detector (McCouat and Voiculescu, CVPR 2022; evaluation.md 2.4). */

import { isWithin } from '../metrics.js'
import { rocAuc } from '../statistics/auc.js'
import { mean } from '../statistics/descriptive.js'

/** Points on one side of the threshold. */
export interface OutlierGroup {
  points: number
  mre: number
  /** Percent within 2 mm. */
  sdr2: number
}

export interface OutlierRoc {
  /** A point with an error above this many mm is an outlier. */
  outlierAbove: number
  outliers: number
  /** NaN without an outlier, or with nothing else. */
  auc: number
  /** Corners of the curve from (0, 0) to (1, 1). */
  falsePositiveRate: number[]
  truePositiveRate: number[]
  /** The expected error in mm from which on a point is called an outlier, the largest that finds half of them; what is below it and what is not. Null without an outlier. */
  atHalf: {
    threshold: number
    truePositiveRate: number
    falsePositiveRate: number
    below: OutlierGroup
    above: OutlierGroup
  } | null
}

/** The groups are split by the expected error, which a user has, not by the true one as jfm15's log does. */
export function outlierRoc(
  expected: readonly number[],
  errors: readonly number[],
  outlierAbove: number,
): OutlierRoc {
  const isOutlier = errors.map((error) => !isWithin(error, outlierAbove, 'pooled'))
  const outliers = isOutlier.filter(Boolean).length
  const others = errors.length - outliers
  const descending = expected
    .map((_, i) => i)
    .sort((a, b) => (expected[b] as number) - (expected[a] as number))
  const corners: { score: number; found: number; wrong: number }[] = []
  let [found, wrong] = [0, 0]
  for (const [place, i] of descending.entries()) {
    if (isOutlier[i]) found++
    else wrong++
    const next = descending[place + 1]
    // Equal scores are called together.
    if (next === undefined || expected[next] !== expected[i])
      corners.push({ score: expected[i] as number, found, wrong })
  }
  const half = corners.find((corner) => outliers > 0 && 2 * corner.found >= outliers)
  const curve = [{ found: 0, wrong: 0 }, ...withoutStraight(corners)]
  const group = (members: (i: number) => boolean): OutlierGroup => {
    const own = errors.filter((_, i) => members(i))
    return {
      points: own.length,
      mre: mean(own),
      sdr2: (100 * own.filter((error) => isWithin(error, 2, 'pooled')).length) / own.length,
    }
  }
  return {
    outlierAbove,
    outliers,
    auc: rocAuc(expected, isOutlier),
    falsePositiveRate: curve.map((corner) => corner.wrong / others),
    truePositiveRate: curve.map((corner) => corner.found / outliers),
    atHalf: half
      ? {
          threshold: half.score,
          truePositiveRate: half.found / outliers,
          falsePositiveRate: half.wrong / others,
          below: group((i) => (expected[i] as number) < half.score),
          above: group((i) => (expected[i] as number) >= half.score),
        }
      : null,
  }
}

/** Leaves out the points inside a horizontal or vertical run, which draw nothing. */
function withoutStraight<T extends { found: number; wrong: number }>(corners: readonly T[]): T[] {
  return corners.filter((corner, i) => {
    const before = corners[i - 1] ?? { found: 0, wrong: 0 }
    const after = corners[i + 1]
    if (!after) return true
    const flat = before.found === corner.found && corner.found === after.found
    const upright = before.wrong === corner.wrong && corner.wrong === after.wrong
    return !flat && !upright
  })
}
