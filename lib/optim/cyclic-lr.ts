/** CyclicLR (Smith 2015), as `torch.optim.lr_scheduler.CyclicLR`; it leaves the momentum alone. */
import { LandmarkDiffusionError } from '../errors.js'
import { type Optional, optional } from '../nn/optional.js'
import { wantNumber } from '../torch/wants.js'
import { type AnyOptimizer, LRScheduler } from './lr-scheduler.js'

export interface CyclicOptions {
  /** Steps from the lower to the upper rate; default 2000. */
  stepSizeUp?: number
  /** Steps back; default `stepSizeUp`. */
  stepSizeDown?: number
  /** How the height changes: not, halved with each cycle, or by gamma with each step; default 'triangular'. */
  mode?: 'triangular' | 'triangular2' | 'exp_range'
  /** Of mode 'exp_range'; default 1. */
  gamma?: number
}

type CyclicDefaults = Required<Omit<CyclicOptions, 'stepSizeDown'>> & {
  stepSizeDown: number | null
}

type CyclicArguments = Optional<
  [stepSizeUp: number, stepSizeDown: number, mode: CyclicOptions['mode'], gamma: number],
  CyclicOptions
>

/** From `baseLr` up to `maxLr` and back, again and again. */
export class CyclicLR extends LRScheduler {
  readonly #rates: { baseLr: number; maxLr: number }
  readonly #options: Required<CyclicOptions>

  constructor(optimizer: AnyOptimizer, baseLr: number, maxLr: number, ...rest: CyclicArguments) {
    super(optimizer)
    wantNumber(baseLr, 'baseLr')
    wantNumber(maxLr, 'maxLr')
    const { stepSizeUp, mode, gamma, ...given } = optional<CyclicDefaults>('CyclicLR', rest, {
      stepSizeUp: 2000,
      stepSizeDown: null,
      mode: 'triangular',
      gamma: 1,
    })
    const stepSizeDown = given.stepSizeDown ?? stepSizeUp
    if (!(stepSizeUp > 0 && stepSizeDown > 0)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `CyclicLR wants step sizes above 0, not ${stepSizeUp} and ${stepSizeDown}.`,
      )
    }
    this.#rates = { baseLr, maxLr }
    this.#options = { stepSizeUp, stepSizeDown, mode, gamma }
    this.apply()
  }

  rate(_base: number, epoch: number): number {
    const { baseLr, maxLr } = this.#rates
    const { stepSizeUp, stepSizeDown, mode, gamma } = this.#options
    const whole = stepSizeUp + stepSizeDown
    const cycle = Math.floor(epoch / whole)
    const within = epoch - cycle * whole
    const height = within <= stepSizeUp ? within / stepSizeUp : (whole - within) / stepSizeDown
    const scales = { triangular: 1, triangular2: 2 ** -cycle, exp_range: gamma ** epoch }
    return baseLr + (maxLr - baseLr) * height * scales[mode]
  }
}
