/** Pooling over windows and to fixed sizes, as in `torch.nn`. */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import * as functional from './functional/index.js'
import { Module } from './module.js'
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

const maxPools = [torch.maxPool1d, torch.maxPool2d, torch.maxPool3d] as const

/** The largest element of each window. */
abstract class MaxPool extends Module {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly dilation: readonly number[]
  readonly ceilMode: boolean

  constructor(rank: number, kernel: Size, options: MaxPoolOptions) {
    super()
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    this.stride = sizes(options.stride ?? kernel, rank, { what: 'stride', least: 1 })
    this.padding = sizes(options.padding ?? 0, rank, { what: 'padding' })
    this.dilation = sizes(options.dilation ?? 1, rank, { what: 'dilation', least: 1 })
    this.ceilMode = options.ceilMode ?? false
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride, padding, dilation, ceilMode } = this
    const pool = maxPools[kernel.length - 1] as (typeof maxPools)[number]
    return pool(x, kernel, stride, padding, dilation, ceilMode)
  }

  protected override toStringExtra(): string {
    return describe(this)
  }
}

/** x: [B, C, L] -> [B, C, L'], L' = floor((L + 2 padding - dilation (kernel - 1) - 1) / stride + 1). */
export class MaxPool1d extends MaxPool {
  constructor(kernel: Size, options: MaxPoolOptions = {}) {
    super(1, kernel, options)
  }
}

/** x: [B, C, H, W] -> [B, C, H', W'], sizes as in MaxPool1d. */
export class MaxPool2d extends MaxPool {
  constructor(kernel: Size, options: MaxPoolOptions = {}) {
    super(2, kernel, options)
  }
}

/** x: [B, C, D, H, W] -> [B, C, D', H', W'], sizes as in MaxPool1d. */
export class MaxPool3d extends MaxPool {
  constructor(kernel: Size, options: MaxPoolOptions = {}) {
    super(3, kernel, options)
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
}

const avgPools = [torch.avgPool1d, torch.avgPool2d, torch.avgPool3d] as const

/** The mean of each window. */
abstract class AvgPool extends Module {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly ceilMode: boolean
  readonly countIncludePad: boolean

  constructor(rank: number, kernel: Size, options: AvgPoolOptions) {
    super()
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    this.stride = sizes(options.stride ?? kernel, rank, { what: 'stride', least: 1 })
    this.padding = sizes(options.padding ?? 0, rank, { what: 'padding' })
    this.ceilMode = options.ceilMode ?? false
    this.countIncludePad = options.countIncludePad ?? true
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride, padding, ceilMode, countIncludePad } = this
    const pool = avgPools[kernel.length - 1] as (typeof avgPools)[number]
    return pool(x, kernel, stride, padding, ceilMode, countIncludePad)
  }

  protected override toStringExtra(): string {
    return describe(this)
  }
}

/** x: [B, C, L] -> [B, C, L'], L' = floor((L + 2 padding - kernel) / stride + 1). */
export class AvgPool1d extends AvgPool {
  constructor(kernel: Size, options: AvgPoolOptions = {}) {
    super(1, kernel, options)
  }
}

/** x: [B, C, H, W] -> [B, C, H', W'], sizes as in AvgPool1d. */
export class AvgPool2d extends AvgPool {
  constructor(kernel: Size, options: AvgPoolOptions = {}) {
    super(2, kernel, options)
  }
}

/** x: [B, C, D, H, W] -> [B, C, D', H', W'], sizes as in AvgPool1d. */
export class AvgPool3d extends AvgPool {
  constructor(kernel: Size, options: AvgPoolOptions = {}) {
    super(3, kernel, options)
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

/** y = (sum x^power over each window)^(1 / power). */
abstract class LPPool extends Module {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]

  constructor(
    rank: number,
    readonly power: number,
    kernel: Size,
    { stride = kernel }: { stride?: Size },
  ) {
    super()
    this.kernel = sizes(kernel, rank, { what: 'kernel', least: 1 })
    this.stride = sizes(stride, rank, { what: 'stride', least: 1 })
  }

  forward(x: Tensor): Tensor {
    return functional.lpPool(x, this.power, this.kernel, { stride: this.stride })
  }

  protected override toStringExtra(): string {
    return `power=${this.power}, ${describe(this)}`
  }
}

/** x: [B, C, L] -> [B, C, L']. */
export class LPPool1d extends LPPool {
  constructor(power: number, kernel: Size, options: { stride?: Size } = {}) {
    super(1, power, kernel, options)
  }
}

/** x: [B, C, H, W] -> [B, C, H', W']. */
export class LPPool2d extends LPPool {
  constructor(power: number, kernel: Size, options: { stride?: Size } = {}) {
    super(2, power, kernel, options)
  }
}

function describe({
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
