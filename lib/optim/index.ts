/** What changes weights: optimisers, gradient clipping, the moving average, and learning rates. */

export { clipGradNorm_, clipGradValue_ } from '../nn/utils.js'
export { Adagrad, type AdagradOptions } from './adagrad.js'
export { Adam, type AdamOptions, AdamW } from './adam.js'
export { Ema, type EmaOptions } from './ema.js'
export * as lrScheduler from './lr-schedulers.js'
export { type Group, Optimizer, type Parameters, type StepLists } from './optimizer.js'
export { RMSprop, type RMSpropOptions } from './rmsprop.js'
export { constant, cosine, type LearningRate, type WarmupOptions } from './schedule.js'
export { SGD, type SGDOptions } from './sgd.js'
