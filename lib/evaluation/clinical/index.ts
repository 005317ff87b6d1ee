/** Clinical measures and what a prediction gets right of them. */

export {
  type ClinicalMode,
  cephalometricMeasures,
  clinicalModes,
  isbiHumanRates,
} from './cephalometry.js'
export type { SampledMeasure } from './class-probabilities.js'
export type { Confusion } from './confusion.js'
export { describedMeasures } from './described.js'
export {
  type Agreement,
  type ClassResult,
  type ClinicalOptions,
  type ClinicalResult,
  evaluateClinical,
  type MeasuredImage,
  type MeasureResult,
  type SampledResult,
} from './evaluate.js'
export { angle, type Direction, distance, signedAngle } from './geometry.js'
export { type Measure, type MeasureClass, rangeClasses } from './measure.js'
