/** Learning rates that fall when a metric stops improving (`torch.optim.lr_scheduler.ReduceLROnPlateau`). */
import { optional } from '../nn/optional.js'
import type { AnyOptimizer } from './lr-scheduler.js'

export interface PlateauOptions {
  /** Whether a smaller or a larger metric is better; default 'min'. */
  mode?: 'min' | 'max'
  /** Default 0.1. */
  factor?: number
  /** Calls without improvement that are borne; default 10. */
  patience?: number
  /** Least relative improvement that counts; default 1e-4. */
  threshold?: number
  /** Calls after a cut in which nothing counts; default 0. */
  cooldown?: number
  /** Default 0. */
  minLr?: number
}

/** Cuts the rates by `factor` when the metric given to `step` has not improved for `patience` calls. */
export class ReduceLROnPlateau {
  readonly #optimizer: AnyOptimizer
  readonly #options: Required<PlateauOptions>
  #state: { best: number | null; bad: number; cooldown: number } = {
    best: null,
    bad: 0,
    cooldown: 0,
  }

  constructor(optimizer: AnyOptimizer, options: PlateauOptions = {}) {
    this.#optimizer = optimizer
    this.#options = optional<Required<PlateauOptions>>('ReduceLROnPlateau', [options], {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      cooldown: 0,
      minLr: 0,
    })
  }

  step(metric: number): void {
    const { factor, patience, cooldown, minLr } = this.#options
    const state = this.#state
    if (this.#better(metric)) {
      state.best = metric
      state.bad = 0
    } else {
      state.bad += 1
    }
    if (state.cooldown > 0) {
      state.cooldown -= 1
      state.bad = 0
    }
    if (state.bad <= patience) return
    for (const group of this.#optimizer.paramGroups) group.lr = Math.max(group.lr * factor, minLr)
    state.cooldown = cooldown
    state.bad = 0
  }

  getLastLr(): number[] {
    return this.#optimizer.paramGroups.map(({ lr }) => lr)
  }

  stateDict(): { best: number | null; bad: number; cooldown: number } {
    return { ...this.#state }
  }

  loadStateDict(state: { best: number | null; bad: number; cooldown: number }): void {
    this.#state = { ...state }
  }

  #better(metric: number): boolean {
    const { mode, threshold } = this.#options
    const { best } = this.#state
    if (best === null) return !Number.isNaN(metric)
    return mode === 'min' ? metric < best * (1 - threshold) : metric > best * (1 + threshold)
  }
}
