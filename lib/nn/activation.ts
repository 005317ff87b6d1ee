/** SiLU, Tanh and Dropout: layers without parameters, as in `torch.nn`. */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { Module } from './module.js'

/** y = x * sigmoid(x) (Elfwing et al. 2017). */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return torch.silu(x)
  }
}

/** y = tanh(x). */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return torch.tanh(x)
  }
}

/** While training: each element is zero with probability p, else x / (1 - p). In eval mode y = x, the same handle. */
export class Dropout extends Module {
  readonly p: number

  constructor(p = 0.5) {
    super()
    if (!(p >= 0 && p <= 1)) throw new RangeError(`Dropout needs a probability 0..1, not ${p}.`)
    this.p = p
  }

  forward(x: Tensor): Tensor {
    return this.training && this.p > 0 ? torch.dropout(x, this.p, true) : x
  }

  protected override toStringExtra(): string {
    return `p=${this.p}`
  }
}
