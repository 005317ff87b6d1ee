/** Regions that claim a probability: how often they hold the truth, and how large they are. What ellipses and highest-density regions have in common. */

import { mean, quantile } from '../statistics/descriptive.js'

/** The claimed probabilities at which regions are looked at: 0.05, 0.10, ... 0.95. */
export const coverageLevels: readonly number[] = Array.from({ length: 19 }, (_, i) => (i + 1) / 20)

/** One point's regions. */
export interface Regions {
  /** 0 to 1 for each of `coverageLevels`: whether the truth lies in the region; between them where a part of its pixel does. */
  readonly inside: readonly number[]
  /** mm^2, likewise. */
  readonly areas: readonly number[]
}

export interface CoverageCurve {
  points: number
  levels: number[]
  /** Share of the points inside their region at each level; equal to the level where the regions are right. */
  coverage: number[]
  /** Mean of |coverage - level|. */
  meanAbsoluteGap: number
  /** mm^2 at each level. */
  meanArea: number[]
  medianArea: number[]
}

/** Null without any point. */
export function coverageCurve(points: readonly Regions[]): CoverageCurve | null {
  if (points.length === 0) return null
  const at = (of: (point: Regions) => readonly number[]) =>
    coverageLevels.map((_, level) => points.map((point) => of(point)[level] as number))
  const coverage = at((point) => point.inside).map(mean)
  const areas = at((point) => point.areas)
  return {
    points: points.length,
    levels: [...coverageLevels],
    coverage,
    meanAbsoluteGap: mean(
      coverage.map((share, i) => Math.abs(share - (coverageLevels[i] as number))),
    ),
    meanArea: areas.map(mean),
    medianArea: areas.map((own) =>
      quantile(
        own.sort((a, b) => a - b),
        0.5,
      ),
    ),
  }
}
