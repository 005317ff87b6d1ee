/** Training, its configuration, and its checkpoints. */
export {
  type Checkpoint,
  type CheckpointMetadata,
  readCheckpoint,
  readCheckpointMetadata,
} from './checkpoint.js'
export {
  type Config,
  type ConfigInput,
  type ConfigSources,
  configJsonSchema,
  configSchema,
  formatConfig,
  loadConfig,
  presetNames,
} from './config.js'
export { createModel, createObjective, createSampler, landmarkSet } from './parts.js'
export { type TrainEvent, type TrainOptions, train } from './trainer.js'
