/** The diffusion on heatmaps: noise, objectives, the reverse chain. */
export { type BlurOptions, BlurSchedule, gaussianBlur, gaussianTaps } from './blur.js'
export { type Batch, heatmapLosses, maskedMse, oneHotHeatmaps, spatialNll } from './heatmaps.js'
export { NoiseSchedule, type NoiseScheduleOptions, type Transition } from './noise-schedule.js'
export {
  BaselineObjective,
  type Denoiser,
  type Draws,
  EpsilonObjective,
  type Locator,
  type Loss,
  type LossWeights,
  type NoisingOptions,
  X0Objective,
} from './objective.js'
export {
  type Evaluated,
  type Evaluation,
  type SampleOptions,
  type SampleResult,
  Sampler,
  type SamplerOptions,
  type SampleStep,
} from './sampler.js'
