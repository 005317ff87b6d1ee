/** Linear, Bilinear and Identity, as in `torch.nn`. */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as init from './init.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

/** y = x weight^T + bias. x: [..., in] -> [..., out]. Initial values uniform in +-1 / sqrt(in). */
export class Linear extends Module {
  readonly weight: Tensor
  readonly bias: Tensor | null

  constructor(
    inputs: number,
    outputs: number,
    ...rest: Optional<[bias: boolean], { bias?: boolean }>
  ) {
    super()
    const { bias } = optional(this.constructor.name, rest, { bias: true })
    this.weight = parameter(
      init.kaimingUniform_(torch.empty([outputs, inputs]), { a: Math.sqrt(5) }),
    )
    const bound = 1 / Math.sqrt(inputs)
    this.bias = bias ? parameter(init.uniform_(torch.empty([outputs]), -bound, bound)) : null
  }

  forward(x: Tensor): Tensor {
    return torch.linear(x, this.weight, this.bias)
  }

  protected override toStringExtra(): string {
    const [out, inputs] = this.weight.shape
    return `${inputs}, ${out}${this.bias ? '' : ', bias=false'}`
  }
}

/** y[o] = x1 weight[o] x2 + bias[o]. x1: [..., in1], x2: [..., in2] -> [..., out]. Initial values uniform in +-1 / sqrt(in1). */
export class Bilinear extends Module {
  readonly weight: Tensor
  readonly bias: Tensor | null

  constructor(
    inputs1: number,
    inputs2: number,
    outputs: number,
    ...rest: Optional<[bias: boolean], { bias?: boolean }>
  ) {
    super()
    const { bias } = optional(this.constructor.name, rest, { bias: true })
    const bound = 1 / Math.sqrt(inputs1)
    const drawn = (shape: number[]) => parameter(init.uniform_(torch.empty(shape), -bound, bound))
    this.weight = drawn([outputs, inputs1, inputs2])
    this.bias = bias ? drawn([outputs]) : null
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return torch.bilinear(x1, x2, this.weight, this.bias)
  }

  protected override toStringExtra(): string {
    const [out, inputs1, inputs2] = this.weight.shape
    return `${inputs1}, ${inputs2}, ${out}${this.bias ? '' : ', bias=false'}`
  }
}

/** y = x, the same handle. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x
  }
}
