/** From images to landmarks. */
export {
  type DetectedHeatmaps,
  type DetectedLandmark,
  type Detection,
  type DetectOptions,
  Detector,
  type ImageInput,
  type LoadOptions,
  type LoadSources,
  type RawImage,
} from './detector.js'
export {
  formatFiles,
  type OutputFile,
  type PredictionFormat,
  predictionFormats,
} from './formats.js'
export { findInputs, type InputImage } from './inputs.js'
