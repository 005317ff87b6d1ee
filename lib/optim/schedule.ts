/** Learning rates as plain functions of the step: assign the value to `optimizer.lr` before each step. */

/** The learning rate for step 0, 1, 2, ... */
export type LearningRate = (step: number) => number

export interface WarmupOptions {
  /** The rate after warm-up. */
  lr: number
  /** Steps of linear rise: step k of them has lr * (k + 1) / warmupSteps; default 0. */
  warmupSteps?: number
}

/** Linear warm-up, then `lr` for ever. */
export function constant({ lr, warmupSteps = 0 }: WarmupOptions): LearningRate {
  return (step) => (step < warmupSteps ? (lr * (step + 1)) / warmupSteps : lr)
}

/**
 * Linear warm-up, then half a cosine from `lr` down to `minLr` (default 0), reached at `totalSteps`
 * (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts).
 */
export function cosine({
  lr,
  warmupSteps = 0,
  totalSteps,
  minLr = 0,
}: WarmupOptions & { totalSteps: number; minLr?: number }): LearningRate {
  const rise = constant({ lr, warmupSteps })
  const span = Math.max(1, totalSteps - warmupSteps)
  return (step) => {
    if (step < warmupSteps) return rise(step)
    const progress = Math.min(1, (step - warmupSteps) / span)
    return minLr + (lr - minLr) * 0.5 * (1 + Math.cos(Math.PI * progress))
  }
}
