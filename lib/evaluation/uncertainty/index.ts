/** How sure a model is, and whether it is right to be (evaluation.md 2.4): from a predictions file, and from stored heatmaps where there are some. */

export type { CalibrationSource } from './calibration.js'
export type { ConformalFigures, ConformalRegions, ConformalScore } from './conformal.js'
export type { Covariance } from './covariance.js'
export type { CoverageCurve } from './coverage.js'
export { defaultEreCutoff, type ErrorCorrelation } from './ere.js'
export { evaluateUncertainty, type UncertaintyOptions } from './evaluate.js'
export { heatmapFolder, readHeatmaps, type TiledHeatmaps } from './heatmap-file.js'
export type { Likelihood } from './likelihood.js'
export type { OutlierRoc } from './outliers.js'
export type { UncertaintySource } from './points.js'
export type { Reliability } from './reliability.js'
export type {
  CovarianceParts,
  HeatmapFigures,
  LandmarkUncertainty,
  UncertaintyResult,
} from './result.js'
export type { RiskCoverage } from './risk-coverage.js'
export type { Temperatures } from './temperature.js'
export { formatUncertainty } from './text.js'
