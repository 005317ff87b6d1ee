/** Comparing detectors on the same images. */

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
} from './compare.js'
export { formatComparison } from './text.js'
