/** Pooling over windows and to fixed sizes, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { wantTensor } from '../torch/wants.js'
import * as functional from './functional/index.js'
import { Module } from './module.js'
import { type Optional, optional } from './optional.js'
import { type Size, sizes } from './size.js'

export interface MaxPoolOptions {
  /** Step between windows; default the kernel. */
  stride?: Size
  /** Elements of -infinity added on each side; default 0. */
  padding?: Size
  /** Distance between the taps; default 1. */
  dilation?: Size
  /** Windows that begin inside may reach beyond the end; default false. */
  ceilMode?: boolean
}

type MaxPoolArguments = Optional<[stride: Size, padding: Size, dilation: Size], MaxPoolOptions>

const maxPools = [torch.maxPool1d, torch.maxPool2d, torch.maxPool3d] as const
const indexedMaxPools = [
  functional.maxPool1dWithIndices,
  functional.maxPool2dWithIndices,
  functional.maxPool3dWithIndices,
] as const

/** The largest element of each window. */
abstract class MaxPool extends Module {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly dilation: readonly number[]
  readonly ceilMode: boolean

  constructor(rank: number, kernel: Size, rest: MaxPoolArguments) {
    super()
    const options = optional<Required<MaxPoolOptions>>(this.constructor.name, rest, {
      stride: kernel,
      padding: 0,
      dilation: 1,
      ceilMode: false,
    })
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    this.stride = sizes(options.stride, rank, { what: 'stride', least: 1 })
    this.padding = sizes(options.padding, rank, { what: 'padding' })
    this.dilation = sizes(options.dilation, rank, { what: 'dilation', least: 1 })
    this.ceilMode = options.ceilMode
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride, padding, dilation, ceilMode } = this
    const pool = maxPools[kernel.length - 1] as (typeof maxPools)[number]
    return pool(x, kernel, stride, padding, dilation, ceilMode)
  }

  /** The largest elements, and where each was in x (int64, of the same shape): what MaxUnpool wants. */
  withIndices(x: Tensor): [Tensor, Tensor] {
    const { kernel, stride, padding, dilation, ceilMode } = this
    const pool = indexedMaxPools[kernel.length - 1] as (typeof indexedMaxPools)[number]
    return pool(x, kernel, stride, padding, dilation, ceilMode)
  }

  protected override toStringExtra(): string {
    return describe(this)
  }
}

/** x: [B, C, L] -> [B, C, L'], L' = floor((L + 2 padding - dilation (kernel - 1) - 1) / stride + 1). */
export class MaxPool1d extends MaxPool {
  constructor(kernel: Size, ...rest: MaxPoolArguments) {
    super(1, kernel, rest)
  }
}

/** x: [B, C, H, W] -> [B, C, H', W'], sizes as in MaxPool1d. */
export class MaxPool2d extends MaxPool {
  constructor(kernel: Size, ...rest: MaxPoolArguments) {
    super(2, kernel, rest)
  }
}

/** x: [B, C, D, H, W] -> [B, C, D', H', W'], sizes as in MaxPool1d. */
export class MaxPool3d extends MaxPool {
  constructor(kernel: Size, ...rest: MaxPoolArguments) {
    super(3, kernel, rest)
  }
}

export interface AvgPoolOptions {
  /** Step between windows; default the kernel. */
  stride?: Size
  /** Zeros added on each side; default 0. */
  padding?: Size
  /** Windows that begin inside may reach beyond the end; default false. */
  ceilMode?: boolean
  /** The added zeros count as elements; default true. */
  countIncludePad?: boolean
  /** Divides the sum of a window by this instead of by its elements (2-D and 3-D); default null. */
  divisorOverride?: number | null
}

type AvgPoolArguments = Optional<
  [
    stride: Size,
    padding: Size,
    ceilMode: boolean,
    countIncludePad: boolean,
    divisorOverride: number | null,
  ],
  AvgPoolOptions
>

/** The mean of each window. */
abstract class AvgPool extends Module {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly ceilMode: boolean
  readonly countIncludePad: boolean
  readonly divisorOverride: number | null

  constructor(rank: number, kernel: Size, rest: AvgPoolArguments) {
    super()
    const options = optional<Required<AvgPoolOptions>>(this.constructor.name, rest, {
      stride: kernel,
      padding: 0,
      ceilMode: false,
      countIncludePad: true,
      divisorOverride: null,
    })
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    this.stride = sizes(options.stride, rank, { what: 'stride', least: 1 })
    this.padding = sizes(options.padding, rank, { what: 'padding' })
    this.ceilMode = options.ceilMode
    this.countIncludePad = options.countIncludePad
    this.divisorOverride = options.divisorOverride
    if (rank === 1 && this.divisorOverride !== null) {
      throw new LandmarkDiffusionError('ERR_SCHEMA', 'AvgPool1d has no divisorOverride.')
    }
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride, padding, ceilMode, countIncludePad, divisorOverride } = this
    if (kernel.length === 1) {
      return torch.avgPool1d(x, kernel, stride, padding, ceilMode, countIncludePad)
    }
    const pool = kernel.length === 2 ? torch.avgPool2d : torch.avgPool3d
    return pool(x, kernel, stride, padding, ceilMode, countIncludePad, divisorOverride)
  }

  protected override toStringExtra(): string {
    return describe(this)
  }
}

/** x: [B, C, L] -> [B, C, L'], L' = floor((L + 2 padding - kernel) / stride + 1). */
export class AvgPool1d extends AvgPool {
  constructor(kernel: Size, ...rest: AvgPoolArguments) {
    super(1, kernel, rest)
  }
}

/** x: [B, C, H, W] -> [B, C, H', W'], sizes as in AvgPool1d. */
export class AvgPool2d extends AvgPool {
  constructor(kernel: Size, ...rest: AvgPoolArguments) {
    super(2, kernel, rest)
  }
}

/** x: [B, C, D, H, W] -> [B, C, D', H', W'], sizes as in AvgPool1d. */
export class AvgPool3d extends AvgPool {
  constructor(kernel: Size, ...rest: AvgPoolArguments) {
    super(3, kernel, rest)
  }
}

/** Windows chosen so that the output has `size`; null keeps the input's size of that dimension (2-D and 3-D). */
abstract class AdaptivePool extends Module {
  readonly size: readonly (number | null)[]

  constructor(rank: number, size: number | readonly (number | null)[]) {
    super()
    this.size = typeof size === 'number' ? sizes(size, rank, { what: 'the output size' }) : size
    if (this.size.length !== rank) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `The output size wants ${rank} numbers, not ${this.size.length}.`,
      )
    }
  }

  protected target(x: Tensor): number[] {
    wantTensor(x, 'the input')
    const lead = x.ndim - this.size.length
    return this.size.map((length, i) => length ?? (x.shape[lead + i] as number))
  }

  protected override toStringExtra(): string {
    return this.size.join('x')
  }
}

/** x: [B, C, L] -> [B, C, size]. */
export class AdaptiveAvgPool1d extends AdaptivePool {
  constructor(size: Size) {
    super(1, size)
  }

  forward(x: Tensor): Tensor {
    return torch.adaptiveAvgPool1d(x, this.target(x))
  }
}

/** x: [B, C, H, W] -> [B, C, ...size]. */
export class AdaptiveAvgPool2d extends AdaptivePool {
  constructor(size: number | readonly (number | null)[]) {
    super(2, size)
  }

  forward(x: Tensor): Tensor {
    return torch.adaptiveAvgPool2d(x, this.target(x))
  }
}

/** x: [B, C, D, H, W] -> [B, C, ...size]. */
export class AdaptiveAvgPool3d extends AdaptivePool {
  constructor(size: number | readonly (number | null)[]) {
    super(3, size)
  }

  forward(x: Tensor): Tensor {
    return torch.adaptiveAvgPool3d(x, this.target(x))
  }
}

/** x: [B, C, L] -> [B, C, size]. */
export class AdaptiveMaxPool1d extends AdaptivePool {
  constructor(size: Size) {
    super(1, size)
  }

  forward(x: Tensor): Tensor {
    return torch.scope(() => torch.adaptiveMaxPool1d(x, this.target(x))[0])
  }
}

/** x: [B, C, H, W] -> [B, C, ...size]. */
export class AdaptiveMaxPool2d extends AdaptivePool {
  constructor(size: number | readonly (number | null)[]) {
    super(2, size)
  }

  forward(x: Tensor): Tensor {
    return torch.scope(() => torch.adaptiveMaxPool2d(x, this.target(x))[0])
  }
}

/** x: [B, C, D, H, W] -> [B, C, ...size]. */
export class AdaptiveMaxPool3d extends AdaptivePool {
  constructor(size: number | readonly (number | null)[]) {
    super(3, size)
  }

  forward(x: Tensor): Tensor {
    return torch.scope(() => torch.adaptiveMaxPool3d(x, this.target(x))[0])
  }
}

export interface LPPoolOptions {
  /** Step between windows; default the kernel. */
  stride?: Size
  /** Windows that begin inside may reach beyond the end; default false. */
  ceilMode?: boolean
}

type LPPoolArguments = Optional<[stride: Size, ceilMode: boolean], LPPoolOptions>

/** y = (sum x^power over each window)^(1 / power). */
abstract class LPPool extends Module {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly ceilMode: boolean

  constructor(
    rank: number,
    readonly power: number,
    kernel: Size,
    rest: LPPoolArguments,
  ) {
    super()
    const { stride, ceilMode } = optional<Required<LPPoolOptions>>(this.constructor.name, rest, {
      stride: kernel,
      ceilMode: false,
    })
    this.ceilMode = ceilMode
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    this.stride = sizes(stride, rank, { what: 'stride', least: 1 })
  }

  forward(x: Tensor): Tensor {
    return functional.lpPool(x, this.power, this.kernel, this.stride, this.ceilMode)
  }

  protected override toStringExtra(): string {
    return `power=${this.power}, ${describe(this)}`
  }
}

/** x: [B, C, L] -> [B, C, L']. */
export class LPPool1d extends LPPool {
  constructor(power: number, kernel: Size, ...rest: LPPoolArguments) {
    super(1, power, kernel, rest)
  }
}

/** x: [B, C, H, W] -> [B, C, H', W']. */
export class LPPool2d extends LPPool {
  constructor(power: number, kernel: Size, ...rest: LPPoolArguments) {
    super(2, power, kernel, rest)
  }
}

/** x: [B, C, D, H, W] -> [B, C, D', H', W']. */
export class LPPool3d extends LPPool {
  constructor(power: number, kernel: Size, ...rest: LPPoolArguments) {
    super(3, power, kernel, rest)
  }
}

export function describe({
  kernel,
  stride,
  padding = [0],
}: {
  kernel: readonly number[]
  stride: readonly number[]
  padding?: readonly number[]
}): string {
  const text = `kernel=${kernel.join('x')}, stride=${stride.join('x')}`
  return padding.some((size) => size !== 0) ? `${text}, padding=${padding.join('x')}` : text
}
