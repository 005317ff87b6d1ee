/** What changes as a run goes on, as pure functions of step and epoch: its length, the learning rate, the accumulation. */

import { constant, cosine, type LearningRate } from '../optim/index.js'
import type { Config } from './config-schema.js'

/** Batches of a whole run over `images` training images. */
export function totalSteps(train: Config['train'], images: number): number {
  return train.steps ?? Math.ceil((train.epochs * images) / train.batchSize)
}

/** The learning rate for step 0, 1, 2, ... of `total`. */
export function learningRate(train: Config['train'], total: number): LearningRate {
  const { lr, warmupSteps } = train
  return train.schedule === 'cosine'
    ? cosine({ lr, warmupSteps, totalSteps: total })
    : constant({ lr, warmupSteps })
}

/** Batches whose gradients make one update in this epoch: of a schedule, the latest key that has come. */
export function accumulation(accumulate: Config['train']['accumulate'], epoch: number): number {
  if (typeof accumulate === 'number') return accumulate
  let current = 1
  let since = -1
  for (const [key, value] of Object.entries(accumulate)) {
    const from = Number(key)
    if (from <= epoch && from > since) {
      since = from
      current = value
    }
  }
  return current
}

/** Whether some updates take several batches. */
export function accumulates(accumulate: Config['train']['accumulate']): boolean {
  const windows = typeof accumulate === 'number' ? [accumulate] : Object.values(accumulate)
  return windows.some((window) => window > 1)
}
