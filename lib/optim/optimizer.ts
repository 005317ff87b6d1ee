/** What all optimisers share: groups of parameters with options of their own, statistics, and saving them. */
import { LandmarkDiffusionError, shown } from '../errors.js'
import { optional } from '../nn/optional.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { listOf } from '../torch/wants.js'
import { copyInto } from './state.js'

/** Parameters alone, or with names (`module.namedParameters()`), which the state dict then uses. */
export type Parameters = Iterable<Tensor> | Iterable<readonly [string, Tensor]>

/** Parameters that are stepped with these options instead of the optimiser's. */
export type Group<Options> = { readonly params: Parameters } & Partial<Options>

export interface StepOptions {
  /**
   * Learning rate of this step, a 0-dim float64 tensor, instead of the optimiser's number: for programs
   * (`torch.program`), which keep numbers as they were when they were recorded.
   */
  lr?: Tensor
}

/** What one step of one group works on; all lists are of one length and order. */
export interface StepLists {
  readonly lr: number | Tensor
  readonly parameters: Tensor[]
  readonly gradients: Tensor[]
  /** The statistic of this name of each parameter. */
  state(name: string): Tensor[]
}

interface Slot {
  readonly name: string
  readonly parameter: Tensor
  readonly state: Readonly<Record<string, Tensor>>
}

interface FullGroup<Options> {
  /** Assign its fields to change them at any step. */
  readonly options: Options
  readonly slots: readonly Slot[]
}

/** The fused kernels of a GPU read the rate as float32, those of the CPU as any number. */
function rateFor(lr: Tensor): Tensor {
  return lr.device === 'cpu' ? lr : lr.to('float32')
}

/**
 * Nothing is awaited: `step` queues a few ops. Parameters that no backward pass reached keep their
 * values and statistics; only a count of steps goes on, since whether a gradient is there is known to
 * the executor alone.
 */
export abstract class Optimizer<Options extends { lr: number }> {
  readonly #groups: FullGroup<Options>[]
  readonly #defaults: Options

  constructor(parameters: Parameters | readonly Group<Options>[], defaults: Options) {
    const entries = listOf<unknown>(parameters, 'the parameters')
    const groups: unknown[] = entries.every(isGroup) ? entries : [{ params: entries }]
    this.#defaults = defaults
    this.#groups = []
    for (const group of groups as Group<Options>[]) this.addParamGroup(group)
    if (this.#slots().length === 0) throw this.#refuse('was given no parameters')
  }

  /** Further parameters, stepped from now on; options that are not given are the optimiser's defaults. */
  addParamGroup(group: Group<Options>): void {
    if (!isGroup(group)) throw this.#refuse('wants a group { params, ...options }')
    const { params, ...given } = group
    const options = optional<Options>(this.constructor.name, [given], this.#defaults)
    this.check(options)
    const known = new Set(this.#slots().map(({ parameter }) => parameter))
    let count = known.size
    const slots: Slot[] = []
    this.#groups.push({ options, slots })
    for (const entry of listOf<unknown>(params, 'the parameters of a group')) {
      const named = Array.isArray(entry) ? entry : [String(count), entry]
      const [name, parameter] = named as [string, Tensor]
      if (!(parameter instanceof torch.Tensor)) {
        throw this.#refuse('takes tensors, [name, tensor] pairs, or groups { params, ...options }')
      }
      if (known.has(parameter)) {
        throw this.#refuse('was given a parameter twice: it would be stepped twice')
      }
      known.add(parameter)
      count++
      const state = this.createState(parameter, options)
      for (const tensor of Object.values(state)) torch.keep(tensor)
      slots.push({ name, parameter, state })
    }
  }

  /** Options of each group, to read or to change between steps. */
  get paramGroups(): readonly Options[] {
    return this.#groups.map(({ options }) => options)
  }

  /** Learning rate of the first group. Setting it sets that of all groups. */
  get lr(): number {
    return (this.#groups[0] as FullGroup<Options>).options.lr
  }

  set lr(lr: number) {
    for (const { options } of this.#groups) options.lr = lr
  }

  /** Applies the gradients of the last backward passes. */
  step({ lr }: StepOptions = {}): void {
    torch.noGrad(() => {
      torch.scope(() => {
        for (const { options, slots } of this.#groups) {
          const found = torch.gradients(slots.map(({ parameter }) => parameter))
          const gradients: Tensor[] = []
          const reached = slots.filter((_, i) => {
            const gradient = found[i]
            if (gradient) gradients.push(gradient)
            return Boolean(gradient)
          })
          if (reached.length === 0) continue
          this.update(options, {
            lr: lr ? rateFor(lr) : options.lr,
            parameters: reached.map(({ parameter }) => parameter),
            gradients,
            state: (name) => reached.map(({ state }) => state[name] as Tensor),
          })
        }
      })
    })
  }

  /** Forgets the gradients, so that the next backward pass writes instead of adding. */
  zeroGrad(): void {
    torch.clearGradients(this.#slots().map(({ parameter }) => parameter))
  }

  /** The statistics, flat: `<parameter>.<statistic>` by PyTorch's names. Live handles. */
  stateDict(): Record<string, Tensor> {
    const dict: Record<string, Tensor> = {}
    for (const { name, state } of this.#slots()) {
      for (const [statistic, tensor] of Object.entries(state)) dict[`${name}.${statistic}`] = tensor
    }
    return dict
  }

  /** @throws ERR_CHECKPOINT when a name is missing or unknown, or a shape differs; nothing has been changed then. */
  loadStateDict(dict: Readonly<Record<string, Tensor>>): void {
    copyInto(this.stateDict(), dict, 'the optimiser')
  }

  /** Frees the statistics; the parameters stay. */
  dispose(): void {
    for (const tensor of Object.values(this.stateDict())) tensor.dispose()
  }

  /** Throws ERR_SCHEMA for options out of range. */
  protected check(options: Options): void {
    atLeast(options, 'lr', 0)
  }

  /** Statistics of a parameter before its first step. */
  protected abstract createState(parameter: Tensor, options: Options): Record<string, Tensor>

  /** Queues one step of one group. Gradients that are not there are skipped by `torch.skippingUndefined`. */
  protected abstract update(options: Options, lists: StepLists): void

  #refuse(reason: string): LandmarkDiffusionError {
    this.dispose()
    return new LandmarkDiffusionError('ERR_SCHEMA', `${this.constructor.name} ${reason}.`)
  }

  #slots(): Slot[] {
    return this.#groups.flatMap(({ slots }) => slots)
  }
}

function isGroup(entry: unknown): boolean {
  return typeof entry === 'object' && entry !== null && Object.hasOwn(entry, 'params')
}

/** Options that are lists are decay rates: two for Adam. */
const mostBetas = 2

/** Throws unless `options[name]` is a number of at least `least`, and less than `below`. */
export function atLeast<Options>(
  options: Options,
  name: keyof Options & string,
  least: number,
  below = Number.POSITIVE_INFINITY,
): void {
  const given: unknown = options[name]
  for (const value of Array.isArray(given) ? given.slice(0, mostBetas) : [given]) {
    if (typeof value === 'number' && value >= least && value < below) continue
    const range =
      below === Number.POSITIVE_INFINITY ? `${least} or more` : `from ${least} to below ${below}`
    throw new LandmarkDiffusionError('ERR_SCHEMA', `${name} must be ${range}, not ${shown(value)}.`)
  }
}
