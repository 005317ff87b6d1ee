/** BatchNorm (Ioffe and Szegedy 2015) and InstanceNorm (Ulyanov et al. 2016), as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { wantTensor } from '../torch/wants.js'
import { Module, parameter } from './module.js'
import { type Optional, optional } from './optional.js'

export interface BatchNormOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number
  /** Share of the new statistics in the running ones; default 0.1. (PyTorch's None, the plain average, is not there.) */
  momentum?: number
  /** Learned weight and bias; default true for BatchNorm, false for InstanceNorm. */
  affine?: boolean
  /** Keeps running statistics for eval mode; default true for BatchNorm, false for InstanceNorm. */
  trackRunningStats?: boolean
}

type BatchNormArguments = Optional<
  [eps: number, momentum: number, affine: boolean, trackRunningStats: boolean],
  BatchNormOptions
>

/** What both norms hold; names and order as in PyTorch's state dicts. */
abstract class RunningNorm extends Module {
  readonly weight: Tensor | null
  readonly bias: Tensor | null
  readonly running_mean: Tensor | null
  readonly running_var: Tensor | null
  readonly num_batches_tracked: Tensor | null
  readonly eps: number
  readonly momentum: number

  constructor(
    readonly channels: number,
    readonly ranks: readonly number[],
    rest: BatchNormArguments,
    defaults: Required<BatchNormOptions>,
  ) {
    super()
    const { eps, momentum, affine, trackRunningStats } = optional(
      this.constructor.name,
      rest,
      defaults,
    )
    this.eps = eps
    this.momentum = momentum
    this.weight = affine ? parameter(torch.ones([channels])) : null
    this.bias = affine ? parameter(torch.zeros([channels])) : null
    const buffer = (name: string, value: () => Tensor) =>
      trackRunningStats ? this.registerBuffer(name, value()) : null
    this.running_mean = buffer('running_mean', () => torch.zeros([channels]))
    this.running_var = buffer('running_var', () => torch.ones([channels]))
    this.num_batches_tracked = buffer('num_batches_tracked', () =>
      torch.zeros([], { dtype: 'int64' }),
    )
  }

  forward(x: Tensor): Tensor {
    wantTensor(x, 'the input')
    if (!this.ranks.includes(x.ndim)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `${this.constructor.name} wants an input of ${this.ranks.join(' or ')} dimensions, this one has shape [${x.shape.join(', ')}].`,
      )
    }
    return this.normalize(x)
  }

  protected abstract normalize(x: Tensor): Tensor

  protected override toStringExtra(): string {
    const { eps, momentum } = this
    const affine = this.weight !== null
    const tracked = this.running_mean !== null
    return `${this.channels}, eps=${eps}, momentum=${momentum}, affine=${affine}, trackRunningStats=${tracked}`
  }
}

/**
 * y = (x - mean) / sqrt(var + eps) * weight + bias per channel, statistics over the batch and all
 * positions while training, the running ones in eval mode.
 */
abstract class BatchNorm extends RunningNorm {
  constructor(channels: number, ranks: readonly number[], rest: BatchNormArguments) {
    const defaults = { eps: 1e-5, momentum: 0.1, affine: true, trackRunningStats: true }
    super(channels, ranks, rest, defaults)
  }

  protected normalize(x: Tensor): Tensor {
    const { weight, bias, running_mean: mean, running_var: variance, eps } = this
    const fromBatch = this.training || mean === null
    if (this.training) torch.noGrad(() => torch.scope(() => void this.num_batches_tracked?.add_(1)))
    return torch.batchNorm(x, weight, bias, mean, variance, fromBatch, this.momentum, eps, true)
  }
}

/** x: [B, C] or [B, C, L]. */
export class BatchNorm1d extends BatchNorm {
  constructor(channels: number, ...rest: BatchNormArguments) {
    super(channels, [2, 3], rest)
  }
}

/** x: [B, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  constructor(channels: number, ...rest: BatchNormArguments) {
    super(channels, [4], rest)
  }
}

/** x: [B, C, D, H, W]. */
export class BatchNorm3d extends BatchNorm {
  constructor(channels: number, ...rest: BatchNormArguments) {
    super(channels, [5], rest)
  }
}

/** As BatchNorm, the statistics over the positions of one sample; running statistics only on request. */
abstract class InstanceNorm extends RunningNorm {
  constructor(channels: number, ranks: readonly number[], rest: BatchNormArguments) {
    const defaults = { eps: 1e-5, momentum: 0.1, affine: false, trackRunningStats: false }
    super(channels, ranks, rest, defaults)
  }

  protected normalize(x: Tensor): Tensor {
    const { weight, bias, running_mean: mean, running_var: variance, eps } = this
    const fromInput = this.training || mean === null
    return torch.instanceNorm(x, weight, bias, mean, variance, fromInput, this.momentum, eps, true)
  }
}

/** x: [B, C, L]. */
export class InstanceNorm1d extends InstanceNorm {
  constructor(channels: number, ...rest: BatchNormArguments) {
    super(channels, [3], rest)
  }
}

/** x: [B, C, H, W]. */
export class InstanceNorm2d extends InstanceNorm {
  constructor(channels: number, ...rest: BatchNormArguments) {
    super(channels, [4], rest)
  }
}

/** x: [B, C, D, H, W]. */
export class InstanceNorm3d extends InstanceNorm {
  constructor(channels: number, ...rest: BatchNormArguments) {
    super(channels, [5], rest)
  }
}
