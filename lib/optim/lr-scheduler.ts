/**
 * Learning-rate schedulers with the names of `torch.optim.lr_scheduler`: objects that set the rates of
 * an optimiser's groups. Each is a formula of the count of `step()` calls, so it resumes from that count.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { listOf } from '../torch/wants.js'
import type { Optimizer } from './optimizer.js'

export type AnyOptimizer = Pick<Optimizer<{ lr: number }>, 'paramGroups'>

/** What a scheduler needs to go on exactly. */
export interface SchedulerState {
  lastEpoch: number
  baseLrs: number[]
}

/** More steps than any training has; some formulas go through all that were. */
const mostEpochs = 1e9

/** Sets `rate(base, n)` after the n-th `step()`, and `rate(base, 0)` when it is made. */
export abstract class LRScheduler {
  protected readonly optimizer: AnyOptimizer
  #state: SchedulerState

  constructor(optimizer: AnyOptimizer) {
    if (!Array.isArray(Object(optimizer).paramGroups)) {
      throw new LandmarkDiffusionError('ERR_SCHEMA', `${this.constructor.name} wants an optimiser.`)
    }
    this.optimizer = optimizer
    this.#state = { lastEpoch: 0, baseLrs: optimizer.paramGroups.map(({ lr }) => lr) }
  }

  /** Calls of `step()` so far. */
  get lastEpoch(): number {
    return this.#state.lastEpoch
  }

  /** To be called after each epoch (or step, as the formula is meant). */
  step(): void {
    this.#state.lastEpoch += 1
    this.apply()
  }

  /** The rates now set, one a group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr)
  }

  stateDict(): SchedulerState {
    return structuredClone(this.#state)
  }

  /** @throws ERR_CHECKPOINT where it is no state of as many groups */
  loadStateDict(state: SchedulerState): void {
    const { lastEpoch, baseLrs } = Object(state) as Partial<SchedulerState>
    const wanted = this.optimizer.paramGroups.length
    const fits =
      Number.isInteger(lastEpoch) &&
      (lastEpoch as number) >= 0 &&
      (lastEpoch as number) <= mostEpochs &&
      Array.isArray(baseLrs) &&
      baseLrs.length === wanted &&
      baseLrs.every((lr) => typeof lr === 'number')
    if (!fits) {
      throw new LandmarkDiffusionError(
        'ERR_CHECKPOINT',
        `${this.constructor.name}: a state is { lastEpoch, baseLrs }, with ${wanted} rates, one a group.`,
      )
    }
    this.#state = { lastEpoch: lastEpoch as number, baseLrs: [...baseLrs] }
    this.apply()
  }

  /** Learning rate of a group that began with `base`, after `epoch` steps. */
  abstract rate(base: number, epoch: number): number

  /** Subclasses call it at the end of their constructor, when their options are set. */
  protected apply(): void {
    const { lastEpoch, baseLrs } = this.#state
    this.optimizer.paramGroups.forEach((group, i) => {
      const rate = this.rate(baseLrs[i] as number, lastEpoch)
      if (!(rate >= 0)) {
        throw new LandmarkDiffusionError(
          'ERR_SCHEMA',
          `${this.constructor.name} makes a learning rate of ${rate}: its options must be numbers.`,
        )
      }
      group.lr = rate
    })
  }
}

/** base * factor(n). */
export class LambdaLR extends LRScheduler {
  readonly #factor: (epoch: number) => number

  constructor(optimizer: AnyOptimizer, factor: (epoch: number) => number) {
    super(optimizer)
    this.#factor = factor
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * this.#factor(epoch)
  }
}

/** base * factor(1) * ... * factor(n). */
export class MultiplicativeLR extends LRScheduler {
  readonly #factor: (epoch: number) => number

  constructor(optimizer: AnyOptimizer, factor: (epoch: number) => number) {
    super(optimizer)
    this.#factor = factor
    this.apply()
  }

  rate(base: number, epoch: number): number {
    let rate = base
    for (let n = 1; n <= epoch; n++) rate *= this.#factor(n)
    return rate
  }
}

/** base * gamma^floor(n / stepSize). */
export class StepLR extends LRScheduler {
  readonly #stepSize: number
  readonly #gamma: number

  constructor(optimizer: AnyOptimizer, stepSize: number, { gamma = 0.1 } = {}) {
    super(optimizer)
    this.#stepSize = stepSize
    this.#gamma = gamma
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * this.#gamma ** Math.floor(epoch / this.#stepSize)
  }
}

/** base * gamma^(milestones reached). */
export class MultiStepLR extends LRScheduler {
  readonly #milestones: readonly number[]
  readonly #gamma: number

  constructor(optimizer: AnyOptimizer, milestones: readonly number[], { gamma = 0.1 } = {}) {
    super(optimizer)
    this.#milestones = listOf(milestones, 'the milestones')
    this.#gamma = gamma
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * this.#gamma ** this.#milestones.filter((milestone) => milestone <= epoch).length
  }
}

/** base * factor for the first totalIters steps, then base. */
export class ConstantLR extends LRScheduler {
  readonly #factor: number
  readonly #total: number

  constructor(optimizer: AnyOptimizer, { factor = 1 / 3, totalIters = 5 } = {}) {
    super(optimizer)
    this.#factor = factor
    this.#total = totalIters
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return epoch < this.#total ? base * this.#factor : base
  }
}

/** A straight line from base * startFactor to base * endFactor in totalIters steps. */
export class LinearLR extends LRScheduler {
  readonly #start: number
  readonly #end: number
  readonly #total: number

  constructor(
    optimizer: AnyOptimizer,
    { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = {},
  ) {
    super(optimizer)
    this.#start = startFactor
    this.#end = endFactor
    this.#total = totalIters
    this.apply()
  }

  rate(base: number, epoch: number): number {
    const progress = Math.min(epoch, this.#total) / this.#total
    return base * (this.#start + (this.#end - this.#start) * progress)
  }
}

/** base * gamma^n. */
export class ExponentialLR extends LRScheduler {
  readonly #gamma: number

  constructor(optimizer: AnyOptimizer, gamma: number) {
    super(optimizer)
    this.#gamma = gamma
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * this.#gamma ** epoch
  }
}

/** base * (1 - n / totalIters)^power, then 0. */
export class PolynomialLR extends LRScheduler {
  readonly #total: number
  readonly #power: number

  constructor(optimizer: AnyOptimizer, { totalIters = 5, power = 1 } = {}) {
    super(optimizer)
    this.#total = totalIters
    this.#power = power
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * (1 - Math.min(epoch, this.#total) / this.#total) ** this.#power
  }
}

/** etaMin + (base - etaMin) (1 + cos(pi n / tMax)) / 2 (Loshchilov and Hutter 2017): down in tMax steps, and up again after. */
export class CosineAnnealingLR extends LRScheduler {
  readonly #tMax: number
  readonly #etaMin: number

  constructor(optimizer: AnyOptimizer, tMax: number, { etaMin = 0 } = {}) {
    super(optimizer)
    this.#tMax = tMax
    this.#etaMin = etaMin
    this.apply()
  }

  rate(base: number, epoch: number): number {
    const share = (1 + Math.cos((Math.PI * epoch) / this.#tMax)) / 2
    return this.#etaMin + (base - this.#etaMin) * share
  }
}

/** Cosine annealing that restarts after t0 steps, then after t0 tMult, t0 tMult^2, ... (Loshchilov and Hutter 2017). */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  readonly #t0: number
  readonly #tMult: number
  readonly #etaMin: number

  constructor(optimizer: AnyOptimizer, t0: number, { tMult = 1, etaMin = 0 } = {}) {
    super(optimizer)
    if (!(Number.isInteger(t0) && t0 > 0 && Number.isInteger(tMult) && tMult > 0)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `t0 and tMult must be positive whole numbers, not ${t0} and ${tMult}.`,
      )
    }
    this.#t0 = t0
    this.#tMult = tMult
    this.#etaMin = etaMin
    this.apply()
  }

  rate(base: number, epoch: number): number {
    let length = this.#t0
    let since = this.#tMult === 1 ? epoch % length : epoch
    while (since >= length) {
      since -= length
      length *= this.#tMult
    }
    return this.#etaMin + ((base - this.#etaMin) * (1 + Math.cos((Math.PI * since) / length))) / 2
  }
}

export interface OneCycleOptions {
  maxLr: number
  /** Steps of the whole cycle. */
  totalSteps: number
  /** Share of the steps in which the rate rises; default 0.3. */
  pctStart?: number
  /** The first rate is maxLr / divFactor; default 25. */
  divFactor?: number
  /** The last rate is the first / finalDivFactor; default 1e4. */
  finalDivFactor?: number
}

/** Up to maxLr and down to almost nothing by half cosines (Smith and Topin 2017). Momentum is left alone. */
export class OneCycleLR extends LRScheduler {
  readonly #options: Required<OneCycleOptions>

  constructor(optimizer: AnyOptimizer, options: OneCycleOptions) {
    super(optimizer)
    this.#options = { pctStart: 0.3, divFactor: 25, finalDivFactor: 1e4, ...options }
    this.apply()
  }

  rate(_base: number, epoch: number): number {
    const { maxLr, totalSteps, pctStart, divFactor, finalDivFactor } = this.#options
    const first = maxLr / divFactor
    const peak = pctStart * totalSteps - 1
    const anneal = (from: number, to: number, share: number) =>
      to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share))
    if (epoch <= peak) return anneal(first, maxLr, epoch / peak)
    const share = Math.min(1, (epoch - peak) / (totalSteps - 1 - peak))
    return anneal(maxLr, first / finalDivFactor, share)
  }
}

/** One scheduler after the other: the next begins, from its own step 0, at each milestone. */
export class SequentialLR extends LRScheduler {
  readonly #schedulers: readonly LRScheduler[]
  readonly #milestones: readonly number[]

  constructor(
    optimizer: AnyOptimizer,
    schedulers: readonly [LRScheduler, ...LRScheduler[]],
    milestones: readonly number[],
  ) {
    // Making the schedulers has set rates already: what they started from is the base.
    const [first] = schedulers
    first.stateDict().baseLrs.forEach((lr, i) => {
      const group = optimizer.paramGroups[i]
      if (group) group.lr = lr
    })
    super(optimizer)
    if (milestones.length !== schedulers.length - 1) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `SequentialLR wants a milestone between any two schedulers: ${schedulers.length - 1}, not ${milestones.length}.`,
      )
    }
    this.#schedulers = schedulers
    this.#milestones = milestones
    this.apply()
  }

  rate(base: number, epoch: number): number {
    const index = this.#milestones.filter((milestone) => milestone <= epoch).length
    const since = epoch - (index === 0 ? 0 : (this.#milestones[index - 1] as number))
    return (this.#schedulers[index] as LRScheduler).rate(base, since)
  }
}

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
    this.#options = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      cooldown: 0,
      minLr: 0,
      ...options,
    }
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
