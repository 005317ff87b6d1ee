/** RNN, LSTM and GRU over whole sequences, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

export interface RecurrentOptions {
  /** Layers, each reading what the one below gives; default 1. */
  numLayers?: number
  /** Default true. */
  bias?: boolean
  /** Batch before time, [B, T, inputs]; default false, as PyTorch's. The states stay [layers, B, hidden]. */
  batchFirst?: boolean
  /** Share of each layer's outputs, but the last one's, dropped while training; default 0. */
  dropout?: number
  /** A second set of weights reads backwards in time; default false. */
  bidirectional?: boolean
}

const defaults: Required<RecurrentOptions> = {
  numLayers: 1,
  bias: true,
  batchFirst: false,
  dropout: 0,
  bidirectional: false,
}

interface Sizes {
  readonly inputs: number
  readonly hidden: number
  /** Rows of a weight are `gates` times the hidden size. */
  readonly gates: number
  /** Width of the outputs of an LSTM with projections; 0 without. */
  readonly projection: number
}

/** What the three share: weights by PyTorch's names, and arguments as the operators take them. */
abstract class Recurrent<Options extends Required<RecurrentOptions>> extends Module {
  readonly #weightNames: readonly string[]

  constructor(
    readonly sizes: Sizes,
    readonly options: Options,
  ) {
    super()
    this.#check()
    const weights = this.#weights()
    this.#weightNames = Object.keys(weights)
    Object.assign(this, weights)
  }

  get #directions(): number {
    return this.options.bidirectional ? 2 : 1
  }

  #check(): void {
    const { inputs, hidden, projection } = this.sizes
    const { numLayers, dropout } = this.options
    const whole = { 'input size': inputs, 'hidden size': hidden, numLayers }
    for (const [name, value] of Object.entries(whole)) {
      if (!Number.isSafeInteger(value) || value < 1) throw this.#refuse(`${name} is ${value}`)
    }
    if (!(dropout >= 0 && dropout <= 1)) throw this.#refuse(`dropout is ${dropout}, not 0..1`)
    if (!Number.isSafeInteger(projection) || projection < 0 || projection >= hidden) {
      throw this.#refuse(`projSize ${projection} is not from 0 to below the hidden size ${hidden}`)
    }
  }

  /** Uniform in +-1 / sqrt(hidden), in the order of the names. */
  #weights(): Record<string, Tensor> {
    const { inputs, hidden, gates, projection } = this.sizes
    const bound = 1 / Math.sqrt(hidden)
    const drawn = (shape: number[]) => parameter(init.uniform_(torch.empty(shape), -bound, bound))
    const outputs = projection || hidden
    const weights: Record<string, Tensor> = {}
    for (let layer = 0; layer < this.options.numLayers; layer++) {
      for (const end of ['', '_reverse'].slice(0, this.#directions)) {
        const read = layer === 0 ? inputs : outputs * this.#directions
        weights[`weight_ih_l${layer}${end}`] = drawn([gates * hidden, read])
        weights[`weight_hh_l${layer}${end}`] = drawn([gates * hidden, outputs])
        if (this.options.bias) {
          weights[`bias_ih_l${layer}${end}`] = drawn([gates * hidden])
          weights[`bias_hh_l${layer}${end}`] = drawn([gates * hidden])
        }
        if (projection > 0) weights[`weight_hr_l${layer}${end}`] = drawn([projection, hidden])
      }
    }
    return weights
  }

  /** The arguments of the operator, after input and states. */
  protected get rest(): [Tensor[], boolean, number, number, boolean, boolean, boolean] {
    const own = this as unknown as Record<string, Tensor>
    const { bias, numLayers, dropout, bidirectional, batchFirst } = this.options
    const weights = this.#weightNames.map((name) => own[name] as Tensor)
    return [weights, bias, numLayers, dropout, this.training, bidirectional, batchFirst]
  }

  /** The batch dimension of an input: [T, B, inputs], or with `batchFirst` [B, T, inputs]. */
  protected get batchDim(): number {
    return this.options.batchFirst ? 0 : 1
  }

  /** Whether x lacks the batch dimension. Throws ERR_SCHEMA for other shapes. */
  protected isSingle(x: Tensor): boolean {
    const { inputs } = this.sizes
    if ((x.ndim === 2 || x.ndim === 3) && x.shape.at(-1) === inputs) return x.ndim === 2
    const batched = this.options.batchFirst ? 'batch, time' : 'time, batch'
    throw this.#refuse(
      `its input is [${x.shape}], not [${batched}, ${inputs}] or [time, ${inputs}]`,
    )
  }

  /** Zeros for the states before the first step: [layers * directions, B, width]. */
  protected initial(x: Tensor, width: number): Tensor {
    const { dtype, device } = x
    const layers = this.options.numLayers * this.#directions
    return torch.zeros([layers, x.shape[this.batchDim] as number, width], { dtype, device })
  }

  protected override toStringExtra(): string {
    const { inputs, hidden } = this.sizes
    const given = Object.entries(this.options).filter(
      ([name, value]) => value !== (defaults as Record<string, unknown>)[name],
    )
    return [inputs, hidden, ...given.map(([name, value]) => `${name}=${value}`)].join(', ')
  }

  #refuse(reason: string): LandmarkDiffusionError {
    return new LandmarkDiffusionError('ERR_SCHEMA', `${this.constructor.name}: ${reason}.`)
  }
}

/** What RNN and GRU share: one state. */
abstract class OneState<Options extends Required<RecurrentOptions>> extends Recurrent<Options> {
  protected abstract run(x: Tensor, state: Tensor): [Tensor, Tensor]

  /**
   * x: [T, B, inputs] (`batchFirst`: [B, T, inputs]) or [T, inputs] without a batch; state: [layers * directions, B,
   * hidden] or without B, zeros when null.
   * -> the outputs of the last layer, [T, B, hidden * directions], and the states after the last step.
   */
  forward(x: Tensor, state: Tensor | null = null): [Tensor, Tensor] {
    return torch.scope(() => {
      if (!this.isSingle(x)) return this.run(x, state ?? this.initial(x, this.sizes.hidden))
      const one = x.unsqueeze(this.batchDim)
      const first = state?.unsqueeze(1) ?? this.initial(one, this.sizes.hidden)
      const [outputs, last] = this.run(one, first)
      return [outputs.squeeze(this.batchDim), last.squeeze(1)]
    })
  }
}

export interface RNNOptions extends RecurrentOptions {
  /** Default 'tanh'. */
  nonlinearity?: 'tanh' | 'relu'
}

/** h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman 1990). */
export class RNN extends OneState<Required<RNNOptions>> {
  constructor(
    inputs: number,
    hidden: number,
    ...rest: Optional<
      [
        numLayers: number,
        nonlinearity: 'tanh' | 'relu',
        bias: boolean,
        batchFirst: boolean,
        dropout: number,
        bidirectional: boolean,
      ],
      RNNOptions
    >
  ) {
    const { numLayers, ...others } = defaults
    const inOrder = { numLayers, nonlinearity: 'tanh' as const, ...others }
    super(
      { inputs, hidden, gates: 1, projection: 0 },
      optional<Required<RNNOptions>>(new.target.name, rest, inOrder),
    )
    const { nonlinearity } = this.options
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `RNN: nonlinearity is '${nonlinearity}', not 'tanh' or 'relu'.`,
      )
    }
  }

  protected run(x: Tensor, state: Tensor): [Tensor, Tensor] {
    const run = this.options.nonlinearity === 'relu' ? torch.rnnRelu : torch.rnnTanh
    return run(x, state, ...this.rest)
  }
}

/** Gated recurrent units (Cho et al. 2014): h' = (1 - z) n + z h. Weights stand in the order r, z, n. */
export class GRU extends OneState<Required<RecurrentOptions>> {
  constructor(inputs: number, hidden: number, ...rest: RecurrentArguments) {
    super(
      { inputs, hidden, gates: 3, projection: 0 },
      optional(new.target.name, rest, { ...defaults }),
    )
  }

  protected run(x: Tensor, state: Tensor): [Tensor, Tensor] {
    return torch.gru(x, state, ...this.rest)
  }
}

type RecurrentArguments = Optional<
  [numLayers: number, bias: boolean, batchFirst: boolean, dropout: number, bidirectional: boolean],
  RecurrentOptions
>

export interface LSTMOptions extends RecurrentOptions {
  /** Width that the outputs are projected to (Sak et al. 2014); default 0, no projection. */
  projSize?: number
}

/** Long short-term memory (Hochreiter and Schmidhuber 1997): c' = f c + i g, h' = o tanh(c'). Weights stand in the order i, f, g, o. */
export class LSTM extends Recurrent<Required<LSTMOptions>> {
  constructor(
    inputs: number,
    hidden: number,
    ...rest: Optional<
      [
        numLayers: number,
        bias: boolean,
        batchFirst: boolean,
        dropout: number,
        bidirectional: boolean,
        projSize: number,
      ],
      LSTMOptions
    >
  ) {
    const options = optional<Required<LSTMOptions>>(new.target.name, rest, {
      ...defaults,
      projSize: 0,
    })
    super({ inputs, hidden, gates: 4, projection: options.projSize }, options)
  }

  /**
   * x: as for GRU; states: h [layers * directions, B, projSize or hidden] and c [layers * directions, B, hidden], or
   * without B; zeros when null.
   * -> the outputs of the last layer, [T, B, (projSize or hidden) * directions], and the states after the last step.
   */
  forward(x: Tensor, states: readonly [Tensor, Tensor] | null = null): [Tensor, [Tensor, Tensor]] {
    return torch.scope(() => {
      if (!this.isSingle(x)) return this.#run(x, states)
      const first = states && ([states[0].unsqueeze(1), states[1].unsqueeze(1)] as const)
      const [outputs, [h, c]] = this.#run(x.unsqueeze(this.batchDim), first)
      return [outputs.squeeze(this.batchDim), [h.squeeze(1), c.squeeze(1)]]
    })
  }

  #run(x: Tensor, states: readonly [Tensor, Tensor] | null): [Tensor, [Tensor, Tensor]] {
    const { hidden, projection } = this.sizes
    const first = states ?? [this.initial(x, projection || hidden), this.initial(x, hidden)]
    const [outputs, h, c] = torch.lstm(x, [...first], ...this.rest)
    return [outputs, [h, c]]
  }
}
