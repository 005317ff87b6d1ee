/** GroupNorm (Wu and He 2018, arXiv 1803.08494), as in `torch.nn`. */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { Module, parameter } from './module.js'

/**
 * y = (x - mean) / sqrt(var + eps) * weight + bias, mean and (biased) variance over each group of
 * channels / groups channels and all positions. x: [B, channels, ...] -> the same shape.
 */
export class GroupNorm extends Module {
  readonly weight: Tensor
  readonly bias: Tensor
  readonly groups: number
  readonly eps: number

  constructor(groups: number, channels: number, { eps = 1e-5 } = {}) {
    super()
    if (channels % groups !== 0) {
      throw new RangeError(
        `GroupNorm cannot split ${channels} channels into ${groups} equal groups; choose groups that divide every channel count of the network.`,
      )
    }
    this.groups = groups
    this.eps = eps
    this.weight = parameter(torch.ones([channels]))
    this.bias = parameter(torch.zeros([channels]))
  }

  forward(x: Tensor): Tensor {
    return torch.groupNorm(x, this.groups, this.weight, this.bias, this.eps)
  }

  protected override toStringExtra(): string {
    return `${this.groups}, ${this.weight.shape[0]}, eps=${this.eps}`
  }
}
