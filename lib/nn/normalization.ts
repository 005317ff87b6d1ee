/** Norms without running statistics: GroupNorm, LayerNorm, RMSNorm and LocalResponseNorm, as in `torch.nn`. */

import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { localResponseNorm } from './functional/index.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

/**
 * y = (x - mean) / sqrt(var + eps) * weight + bias, mean and (biased) variance over each group of
 * channels / groups channels and all positions (Wu and He 2018). x: [B, channels, ...] -> the same shape.
 */
export class GroupNorm extends Module {
  readonly weight: Tensor | null
  readonly bias: Tensor | null
  readonly groups: number
  readonly channels: number
  readonly eps: number

  constructor(
    groups: number,
    channels: number,
    ...rest: Optional<[eps: number, affine: boolean], { eps?: number; affine?: boolean }>
  ) {
    super()
    const { eps, affine } = optional(this.constructor.name, rest, { eps: 1e-5, affine: true })
    if (channels % groups !== 0) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `GroupNorm cannot split ${channels} channels into ${groups} equal groups; choose groups that divide every channel count of the network.`,
      )
    }
    this.groups = groups
    this.channels = channels
    this.eps = eps
    this.weight = affine ? parameter(torch.ones([channels])) : null
    this.bias = affine ? parameter(torch.zeros([channels])) : null
  }

  forward(x: Tensor): Tensor {
    return torch.groupNorm(x, this.groups, this.weight, this.bias, this.eps)
  }

  protected override toStringExtra(): string {
    const affine = this.weight ? '' : ', affine=false'
    return `${this.groups}, ${this.channels}, eps=${this.eps}${affine}`
  }
}

export interface LayerNormOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number
  /** Learned weight (and bias); default true. */
  elementwiseAffine?: boolean
  /** Learned bias beside the weight; default true. */
  bias?: boolean
}

/** More dimensions than a tensor can have. */
const mostDimensions = 65

function lengths(shape: number | readonly number[]): number[] {
  return Array.isArray(shape) ? shape.slice(0, mostDimensions) : [shape as number]
}

/** y = (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, of `shape` (Ba et al. 2016). */
export class LayerNorm extends Module {
  readonly weight: Tensor | null
  readonly bias: Tensor | null
  readonly shape: readonly number[]
  readonly eps: number

  constructor(
    shape: number | readonly number[],
    ...rest: Optional<[eps: number, elementwiseAffine: boolean, bias: boolean], LayerNormOptions>
  ) {
    super()
    const defaults: Required<LayerNormOptions> = { eps: 1e-5, elementwiseAffine: true, bias: true }
    const { eps, elementwiseAffine, bias } = optional(this.constructor.name, rest, defaults)
    this.shape = lengths(shape)
    this.eps = eps
    this.weight = elementwiseAffine ? parameter(torch.ones([...this.shape])) : null
    this.bias = elementwiseAffine && bias ? parameter(torch.zeros([...this.shape])) : null
  }

  forward(x: Tensor): Tensor {
    return torch.layerNorm(x, this.shape, this.weight, this.bias, this.eps)
  }

  protected override toStringExtra(): string {
    return `[${this.shape.join(', ')}], eps=${this.eps}, elementwiseAffine=${this.weight !== null}`
  }
}

/** y = x / sqrt(mean(x^2) + eps) * weight over the last dimensions, of `shape` (Zhang and Sennrich 2019). */
export class RMSNorm extends Module {
  readonly weight: Tensor | null
  readonly shape: readonly number[]
  readonly eps: number | null

  /** `eps` null (the default) is the smallest step of the input's dtype. */
  constructor(
    shape: number | readonly number[],
    ...rest: Optional<
      [eps: number | null, elementwiseAffine: boolean],
      { eps?: number | null; elementwiseAffine?: boolean }
    >
  ) {
    super()
    const { eps, elementwiseAffine } = optional<{ eps: number | null; elementwiseAffine: boolean }>(
      this.constructor.name,
      rest,
      { eps: null, elementwiseAffine: true },
    )
    this.shape = lengths(shape)
    this.eps = eps
    this.weight = elementwiseAffine ? parameter(torch.ones([...this.shape])) : null
  }

  forward(x: Tensor): Tensor {
    return torch.rmsNorm(x, this.shape, this.weight, this.eps)
  }

  protected override toStringExtra(): string {
    return `[${this.shape.join(', ')}], eps=${this.eps}, elementwiseAffine=${this.weight !== null}`
  }
}

/** y = x / (k + alpha mean(x^2 over `size` neighbouring channels))^beta (Krizhevsky et al. 2012). x: [B, C, ...]. */
export class LocalResponseNorm extends Module {
  readonly options: { alpha: number; beta: number; k: number }

  constructor(
    readonly size: number,
    ...rest: Optional<
      [alpha: number, beta: number, k: number],
      { alpha?: number; beta?: number; k?: number }
    >
  ) {
    super()
    this.options = optional(this.constructor.name, rest, { alpha: 1e-4, beta: 0.75, k: 1 })
  }

  forward(x: Tensor): Tensor {
    return localResponseNorm(x, this.size, this.options)
  }

  protected override toStringExtra(): string {
    const { alpha, beta, k } = this.options
    return `${this.size}, alpha=${alpha}, beta=${beta}, k=${k}`
  }
}
