/** Conformal prediction regions: sizes read off a calibration set, so that they hold the truth as often as they claim whatever the model (Vovk et al. 2005; for landmarks arXiv 2503.14106; evaluation.md 2.4). */

import { spearman } from '../statistics/correlation.js'
import { mean, quantile } from '../statistics/descriptive.js'

/** The claimed probabilities. */
export const conformalLevels = [0.8, 0.9, 0.95] as const

/**
 * What is calibrated.
 *
 * | score | of a truth | region |
 * | --- | --- | --- |
 * | `radius` | radial error in mm | disc of one radius for all images |
 * | `normalised` | radial error / ERE | disc of radius q ERE |
 * | `ellipse` | Mahalanobis distance | ellipse of the covariance, q times as large |
 * | `highest-density` | probability of what is at least as hot | the hottest pixels |
 */
export const conformalScores = ['radius', 'normalised', 'ellipse', 'highest-density'] as const
export type ConformalScore = (typeof conformalScores)[number]

/** A point with its score; `area(q)` in mm^2 is that of the region to which scores up to q belong. */
export interface ScoredPoint {
  landmark: number
  error: number
  score: number
  area: (q: number) => number
}

/** The ceil((n + 1) c)-th smallest of n scores: a further one of the same kind is at most that with a probability of at least c. Infinity where n is too small. */
export function conformalQuantile(scores: readonly number[], level: number): number {
  // The slack keeps (9 + 1) * 0.9 from being more than 9.
  const rank = Math.ceil((scores.length + 1) * level - 1e-9)
  return scores.toSorted((a, b) => a - b)[rank - 1] ?? Number.POSITIVE_INFINITY
}

/** mm^2. Infinite where the calibration set is too small for the level. */
export interface ConformalFigures {
  points: number
  /** Share of the truths inside their region. */
  coverage: number
  meanArea: number
  medianArea: number
  /** First and third quartile. */
  areaIqr: [number, number]
  /** Spearman of error and area: whether hard points have large regions; NaN where all areas are equal. */
  adaptivity: number
}

export interface ConformalRegions {
  score: ConformalScore
  level: number
  /** Of all landmarks, each with a quantile of its own. */
  all: ConformalFigures
  perLandmark: (ConformalFigures & { name: string; calibration: number; quantile: number })[]
}

function figures(points: readonly (ScoredPoint & { quantile: number })[]): ConformalFigures {
  const areas = points.map((point) => point.area(point.quantile))
  const sorted = areas.toSorted((a, b) => a - b)
  return {
    points: points.length,
    coverage: mean(points.map((point) => (point.score <= point.quantile ? 1 : 0))),
    meanArea: mean(areas),
    medianArea: quantile(sorted, 0.5),
    areaIqr: [quantile(sorted, 0.25), quantile(sorted, 0.75)],
    adaptivity: spearman(
      points.map(({ error }) => error),
      areas,
    ),
  }
}

/** Regions at every level, calibrated landmark by landmark; none where either set has no scores of this kind. */
export function conformalRegions(
  score: ConformalScore,
  calibration: readonly Pick<ScoredPoint, 'landmark' | 'score'>[],
  points: readonly ScoredPoint[],
  landmarks: readonly string[],
): ConformalRegions[] {
  if (calibration.length === 0 || points.length === 0) return []
  const own = landmarks.map((_, j) =>
    calibration.filter(({ landmark }) => landmark === j).map((point) => point.score),
  )
  return conformalLevels.map((level) => {
    const quantiles = own.map((scores) => conformalQuantile(scores, level))
    const placed = points.map((point) => ({
      ...point,
      quantile: quantiles[point.landmark] as number,
    }))
    return {
      score,
      level,
      all: figures(placed),
      perLandmark: landmarks.map((name, j) => ({
        name,
        calibration: own[j]?.length ?? 0,
        quantile: quantiles[j] as number,
        ...figures(placed.filter(({ landmark }) => landmark === j)),
      })),
    }
  })
}
