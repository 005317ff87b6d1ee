/** What changes weights: AdamW, gradient clipping, the moving average, and learning rates. */
export { AdamW, type AdamWOptions, type Parameters } from './adamw.js'
export { clipGradNorm_ } from './clip.js'
export { Ema, type EmaOptions } from './ema.js'
export { constant, cosine, type LearningRate, type WarmupOptions } from './schedule.js'
