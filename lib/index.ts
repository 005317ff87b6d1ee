/**
 * `landmark-diffusion`: detect, train and evaluate; and the parts, each usable alone.
 *
 * ```ts
 * import { Detector } from 'landmark-diffusion'
 * await using detector = await Detector.load('runs/isbi')
 * const result = await detector.detect('cephalogram.png', { pixelSize: 0.1 })
 * ```
 */
export * from './data/index.js'
export * from './diffusion/index.js'
export { type ErrorCode, LandmarkDiffusionError, TensorDisposedError } from './errors.js'
export {
  type EvaluateOptions,
  type EvaluationResult,
  evaluate,
  type PredictionsFile,
  readPredictions,
  writePredictions,
} from './evaluation/index.js'
export * from './inference/index.js'
export * from './landmarks/index.js'
export * from './model/index.js'
export * from './training/index.js'
