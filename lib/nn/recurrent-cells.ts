/** One step in time of RNN, LSTM and GRU, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

/** Weights uniform in +-1 / sqrt(hidden). */
abstract class Cell extends Module {
  readonly weight_ih: Tensor
  readonly weight_hh: Tensor
  readonly bias_ih: Tensor | null
  readonly bias_hh: Tensor | null

  constructor(
    readonly inputs: number,
    readonly hidden: number,
    gates: number,
    bias: boolean,
  ) {
    super()
    const bound = 1 / Math.sqrt(hidden)
    const drawn = (shape: number[]) => parameter(init.uniform_(torch.empty(shape), -bound, bound))
    this.weight_ih = drawn([gates * hidden, inputs])
    this.weight_hh = drawn([gates * hidden, hidden])
    this.bias_ih = bias ? drawn([gates * hidden]) : null
    this.bias_hh = bias ? drawn([gates * hidden]) : null
  }

  /** Zeros of the shape of a state beside x. */
  protected initial(x: Tensor): Tensor {
    const { dtype, device } = x
    return torch.zeros([...x.shape.slice(0, -1), this.hidden], { dtype, device })
  }

  protected get weights(): [Tensor, Tensor, Tensor | null, Tensor | null] {
    return [this.weight_ih, this.weight_hh, this.bias_ih, this.bias_hh]
  }

  protected override toStringExtra(): string {
    return `${this.inputs}, ${this.hidden}${this.bias_ih ? '' : ', bias=false'}`
  }
}

/** x: [B, inputs] or [inputs], state: [B, hidden] or [hidden], zeros when null -> the state after this step. */
abstract class OneStateCell extends Cell {
  protected abstract step(x: Tensor, state: Tensor): Tensor

  forward(x: Tensor, state: Tensor | null = null): Tensor {
    return torch.scope(() => {
      const before = state ?? this.initial(x)
      if (x.ndim !== 1) return this.step(x, before)
      return this.step(x.unsqueeze(0), before.unsqueeze(0)).squeeze(0)
    })
  }
}

export interface CellOptions {
  /** Default true. */
  bias?: boolean
}

export interface RNNCellOptions extends CellOptions {
  /** Default 'tanh'. */
  nonlinearity?: 'tanh' | 'relu'
}

/** h' = tanh(W_ih x + b_ih + W_hh h + b_hh). */
export class RNNCell extends OneStateCell {
  readonly nonlinearity: 'tanh' | 'relu'

  constructor(
    inputs: number,
    hidden: number,
    ...rest: Optional<[bias: boolean, nonlinearity: 'tanh' | 'relu'], RNNCellOptions>
  ) {
    const { bias, nonlinearity } = optional<Required<RNNCellOptions>>(new.target.name, rest, {
      bias: true,
      nonlinearity: 'tanh',
    })
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `RNNCell: nonlinearity is '${nonlinearity}', not 'tanh' or 'relu'.`,
      )
    }
    super(inputs, hidden, 1, bias)
    this.nonlinearity = nonlinearity
  }

  protected step(x: Tensor, state: Tensor): Tensor {
    const step = this.nonlinearity === 'relu' ? torch.rnnReluCell : torch.rnnTanhCell
    return step(x, state, ...this.weights)
  }
}

/** h' = (1 - z) n + z h; weights in the order r, z, n. */
export class GRUCell extends OneStateCell {
  constructor(inputs: number, hidden: number, ...rest: Optional<[bias: boolean], CellOptions>) {
    super(inputs, hidden, 3, optional(new.target.name, rest, { bias: true }).bias)
  }

  protected step(x: Tensor, state: Tensor): Tensor {
    return torch.gruCell(x, state, ...this.weights)
  }
}

/** c' = f c + i g, h' = o tanh(c'); weights in the order i, f, g, o. */
export class LSTMCell extends Cell {
  constructor(inputs: number, hidden: number, ...rest: Optional<[bias: boolean], CellOptions>) {
    super(inputs, hidden, 4, optional(new.target.name, rest, { bias: true }).bias)
  }

  /** x: [B, inputs] or [inputs], states: h and c, each [B, hidden] or [hidden], zeros when null -> h and c after this step. */
  forward(x: Tensor, states: readonly [Tensor, Tensor] | null = null): [Tensor, Tensor] {
    return torch.scope(() => {
      const [h, c] = states ?? [this.initial(x), this.initial(x)]
      if (x.ndim !== 1) return torch.lstmCell(x, [h, c], ...this.weights)
      const lifted = [h.unsqueeze(0), c.unsqueeze(0)]
      const [nextH, nextC] = torch.lstmCell(x.unsqueeze(0), lifted, ...this.weights)
      return [nextH.squeeze(0), nextC.squeeze(0)]
    })
  }
}
