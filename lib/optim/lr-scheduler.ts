/**
 * Learning-rate schedulers with the names of `torch.optim.lr_scheduler`: objects that set the rates of
 * an optimiser's groups. Each is a formula of the count of `step()` calls, so it resumes from that count.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { type Optional, optional } from '../nn/optional.js'
import { listOf, wantNumber } from '../torch/wants.js'
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

/** Factor of each cut; default 0.1. */
type GammaArguments = Optional<[gamma: number], { gamma?: number }>

/** base * gamma^floor(n / stepSize). */
export class StepLR extends LRScheduler {
  readonly #stepSize: number
  readonly #gamma: number

  constructor(optimizer: AnyOptimizer, stepSize: number, ...rest: GammaArguments) {
    super(optimizer)
    wantNumber(stepSize, 'stepSize')
    this.#stepSize = stepSize
    this.#gamma = optional('StepLR', rest, { gamma: 0.1 }).gamma
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

  constructor(optimizer: AnyOptimizer, milestones: readonly number[], ...rest: GammaArguments) {
    super(optimizer)
    this.#milestones = listOf(milestones, 'the milestones')
    this.#gamma = optional('MultiStepLR', rest, { gamma: 0.1 }).gamma
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * this.#gamma ** this.#milestones.filter((milestone) => milestone <= epoch).length
  }
}

type ConstantArguments = Optional<
  [factor: number, totalIters: number],
  { factor?: number; totalIters?: number }
>

/** base * factor for the first totalIters steps, then base. */
export class ConstantLR extends LRScheduler {
  readonly #factor: number
  readonly #total: number

  constructor(optimizer: AnyOptimizer, ...rest: ConstantArguments) {
    super(optimizer)
    const { factor, totalIters } = optional('ConstantLR', rest, { factor: 1 / 3, totalIters: 5 })
    this.#factor = factor
    this.#total = totalIters
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return epoch < this.#total ? base * this.#factor : base
  }
}

type LinearArguments = Optional<
  [startFactor: number, endFactor: number, totalIters: number],
  { startFactor?: number; endFactor?: number; totalIters?: number }
>

/** A straight line from base * startFactor to base * endFactor in totalIters steps. */
export class LinearLR extends LRScheduler {
  readonly #start: number
  readonly #end: number
  readonly #total: number

  constructor(optimizer: AnyOptimizer, ...rest: LinearArguments) {
    super(optimizer)
    const defaults = { startFactor: 1 / 3, endFactor: 1, totalIters: 5 }
    const { startFactor, endFactor, totalIters } = optional('LinearLR', rest, defaults)
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
    wantNumber(gamma, 'gamma')
    this.#gamma = gamma
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * this.#gamma ** epoch
  }
}

type PolynomialArguments = Optional<
  [totalIters: number, power: number],
  { totalIters?: number; power?: number }
>

/** base * (1 - n / totalIters)^power, then 0. */
export class PolynomialLR extends LRScheduler {
  readonly #total: number
  readonly #power: number

  constructor(optimizer: AnyOptimizer, ...rest: PolynomialArguments) {
    super(optimizer)
    const { totalIters, power } = optional('PolynomialLR', rest, { totalIters: 5, power: 1 })
    this.#total = totalIters
    this.#power = power
    this.apply()
  }

  rate(base: number, epoch: number): number {
    return base * (1 - Math.min(epoch, this.#total) / this.#total) ** this.#power
  }
}

type CosineArguments = Optional<[etaMin: number], { etaMin?: number }>

/** etaMin + (base - etaMin) (1 + cos(pi n / tMax)) / 2 (Loshchilov and Hutter 2017): down in tMax steps, and up again after. */
export class CosineAnnealingLR extends LRScheduler {
  readonly #tMax: number
  readonly #etaMin: number

  constructor(optimizer: AnyOptimizer, tMax: number, ...rest: CosineArguments) {
    super(optimizer)
    wantNumber(tMax, 'tMax')
    this.#tMax = tMax
    this.#etaMin = optional('CosineAnnealingLR', rest, { etaMin: 0 }).etaMin
    this.apply()
  }

  rate(base: number, epoch: number): number {
    const share = (1 + Math.cos((Math.PI * epoch) / this.#tMax)) / 2
    return this.#etaMin + (base - this.#etaMin) * share
  }
}

type RestartArguments = Optional<
  [tMult: number, etaMin: number],
  { tMult?: number; etaMin?: number }
>

/** Cosine annealing that restarts after t0 steps, then after t0 tMult, t0 tMult^2, ... (Loshchilov and Hutter 2017). */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  readonly #t0: number
  readonly #tMult: number
  readonly #etaMin: number

  constructor(optimizer: AnyOptimizer, t0: number, ...rest: RestartArguments) {
    super(optimizer)
    const defaults = { tMult: 1, etaMin: 0 }
    const { tMult, etaMin } = optional('CosineAnnealingWarmRestarts', rest, defaults)
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
    wantNumber(Object(options).maxLr, 'maxLr')
    wantNumber(Object(options).totalSteps, 'totalSteps')
    this.#options = optional<Required<OneCycleOptions>>('OneCycleLR', [options], {
      maxLr: options.maxLr,
      totalSteps: options.totalSteps,
      pctStart: 0.3,
      divFactor: 25,
      finalDivFactor: 1e4,
    })
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
