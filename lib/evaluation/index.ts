/** Scoring of predicted landmarks: `landmark-diffusion/evaluation`. Needs no model and no libtorch. */

export {
  type Agreement,
  angle,
  type ClassResult,
  type ClinicalMode,
  type ClinicalOptions,
  type ClinicalResult,
  type Confusion,
  cephalometricMeasures,
  clinicalModes,
  type Direction,
  describedMeasures,
  distance,
  evaluateClinical,
  isbiHumanRates,
  type Measure,
  type MeasureClass,
  type MeasuredImage,
  type MeasureResult,
  rangeClasses,
  type SampledMeasure,
  type SampledResult,
  signedAngle,
} from './clinical/index.js'
export { type ClinicalComparison, compareClinical } from './clinical/part.js'
export {
  type ComparisonOptions,
  type ComparisonResult,
  type Contender,
  type ContenderSummary,
  type Crossings,
  compareErrors,
  type ImageDifference,
  type LandmarkDifference,
  type PairedComparison,
  type Wins,
} from './comparison/compare.js'
export { formatComparison } from './comparison/text.js'
export {
  type Annotations,
  combinedTruths,
  type OffsetTable,
  offsets,
  type Pairing,
  radialErrors,
  shortList,
} from './errors.js'
export {
  type DetectionIntervals,
  type DetectionRates,
  type EvaluateOptions,
  type EvaluationResult,
  evaluate,
  type ImageResult,
  type LandmarkResult,
  summarize,
} from './evaluate.js'
export { replaceFile } from './files.js'
export { meanShape } from './mean-shape.js'
export { type Convention, conventions, type ErrorTable } from './metrics.js'
export {
  type AnnotatorFigures,
  type AnnotatorMetrics,
  annotatorMetrics,
  segmentRatio,
} from './parts/annotators.js'
export { type Bias, landmarkBias } from './parts/bias.js'
export {
  type Curve,
  type Distribution,
  errorCurve,
  errorDistribution,
} from './parts/distribution.js'
export { evaluateParts, parts } from './parts/index.js'
export type { Evidence, Part, PartResult } from './parts/part.js'
export { type OverSeeds, type SeedFigures, seedFigures } from './parts/seeds.js'
export { type TruthRow, truthTable } from './parts/truths.js'
export { type WorstPoint, worstPoints } from './parts/worst.js'
export {
  extentOf,
  type FilmFrame,
  formatPredictions,
  type Point,
  type PointUncertainty,
  type PredictedImage,
  type PredictionsFile,
  parsePredictions,
  predictionsFileKind,
  readPredictions,
  writePredictions,
} from './predictions.js'
export {
  annotatorSpread,
  type PublishedFigures,
  type PublishedResult,
  paperResults,
  publishedResults,
} from './published.js'
export {
  annotatorReference,
  meanShapeReference,
  type Reference,
  replacePoints,
} from './references.js'
export {
  buildReport,
  type Decode,
  type GreyPixels,
  ImageFolder,
  type ReportOptions,
  type Scores,
} from './report/index.js'
export type { BootstrapOptions } from './statistics/index.js'
export { conventionText, formatEvaluation } from './text.js'
export {
  type CalibrationSource,
  type ConformalFigures,
  type ConformalRegions,
  type ConformalScore,
  type Covariance,
  type CovarianceParts,
  type CoverageCurve,
  defaultEreCutoff,
  type ErrorCorrelation,
  evaluateUncertainty,
  formatUncertainty,
  type HeatmapFigures,
  heatmapFolder,
  type LandmarkUncertainty,
  type Likelihood,
  type OutlierRoc,
  type Reliability,
  type RiskCoverage,
  readHeatmaps,
  type Temperatures,
  type TiledHeatmaps,
  type UncertaintyOptions,
  type UncertaintyResult,
  type UncertaintySource,
} from './uncertainty/index.js'
