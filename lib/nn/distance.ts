/** Distances between rows, as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { Module } from './module.js'
import { type Optional, optional } from './optional.js'

/** x1 . x2 / max(|x1| |x2|, eps) along `dim`. */
export class CosineSimilarity extends Module {
  readonly dim: number
  readonly eps: number

  constructor(...rest: Optional<[dim: number, eps: number], { dim?: number; eps?: number }>) {
    super()
    const { dim, eps } = optional(this.constructor.name, rest, { dim: 1, eps: 1e-8 })
    this.dim = dim
    this.eps = eps
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return torch.cosineSimilarity(x1, x2, this.dim, this.eps)
  }

  protected override toStringExtra(): string {
    return `dim=${this.dim}, eps=${this.eps}`
  }
}

/** |x1 - x2 + eps|_p over the last dimension. x1, x2: [..., D] -> [...]. */
export class PairwiseDistance extends Module {
  readonly options: { p: number; eps: number; keepdim: boolean }

  constructor(
    ...rest: Optional<
      [p: number, eps: number, keepdim: boolean],
      { p?: number; eps?: number; keepdim?: boolean }
    >
  ) {
    super()
    this.options = optional(this.constructor.name, rest, { p: 2, eps: 1e-6, keepdim: false })
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    const { p, eps, keepdim } = this.options
    return torch.pairwiseDistance(x1, x2, p, eps, keepdim)
  }

  protected override toStringExtra(): string {
    return `p=${this.options.p}, eps=${this.options.eps}`
  }
}
