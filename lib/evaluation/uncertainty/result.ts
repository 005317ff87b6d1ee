/** The result of evaluating uncertainty: all figures and all curves, ready to be printed, drawn or written as JSON. */

import type { ConformalRegions } from './conformal.js'
import type { Covariance } from './covariance.js'
import type { CoverageCurve } from './coverage.js'
import type { ErrorCorrelation } from './ere.js'
import type { Likelihood } from './likelihood.js'
import type { OutlierRoc } from './outliers.js'
import type { Reliability } from './reliability.js'
import type { RiskCoverage } from './risk-coverage.js'
import type { Temperatures } from './temperature.js'

/** Figures that need every pixel of the heatmaps. */
export interface HeatmapFigures {
  highestDensity: CoverageCurve | null
  likelihood: Likelihood
  reliability: Reliability | null
}

/** Mean covariances, in mm^2. */
export interface CovarianceParts {
  points: number
  total: Covariance
  /** Within the single chains, and between their means; null where the predictions do not tell them apart. */
  within: Covariance | null
  between: Covariance | null
  /** Trace of `between` as a share of that of both. */
  betweenShare: number
}

export interface LandmarkUncertainty {
  name: string
  points: number
  /** Mean true and expected radial error. */
  error: number
  ere: number
  pearson: number
  spearman: number
  /** Standard deviations along the major and the minor axis of the mean covariance. */
  axes: [number, number]
  /** Share of the truths inside the ellipse of 95 %, and mean |gap| over all levels. */
  ellipseCoverage95: number
  ellipseGap: number
  /** Mean of the truth, in nats per mm^2; from stored heatmaps only. */
  nll: number
  /** 1 without a calibration set. */
  temperature: number
}

/** Lengths are in mm, areas in mm^2. A figure that does not exist is NaN, which JSON writes as null. */
export interface UncertaintyResult {
  /** Points that are annotated and found; those whose uncertainty comes from the points of their chains alone. */
  points: number
  fromChains: number
  /** Stored heatmaps, or the figures of the predictions file. */
  source: 'heatmaps' | 'predictions'
  /** Of the expected radial error; null where the predictions file has it. */
  ereCutoff: number | null
  ere: { points: number; mean: number; correlation: ErrorCorrelation }
  outliers: OutlierRoc[]
  riskCoverage: RiskCoverage | null
  reliability: Reliability | null
  covariance: CovarianceParts | null
  ellipses: CoverageCurve | null
  /** From stored heatmaps only. */
  highestDensity: CoverageCurve | null
  likelihood: Likelihood | null
  /** The calibration set, and how many of its images are evaluated too. */
  calibration: { name: string; images: number; points: number; overlap: number } | null
  /** From stored heatmaps and a calibration set only: the temperatures, and the heatmaps' figures with them. */
  temperature: (Temperatures & HeatmapFigures) | null
  /** From a calibration set only. */
  conformal: ConformalRegions[]
  perLandmark: LandmarkUncertainty[]
}
