/** Layers that only move elements: Flatten, Unflatten, PixelShuffle, ChannelShuffle, Fold, as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { Module } from './module.js'
import { type Size, sizes } from './size.js'

/** Dimensions `start` to `end` become one; default all but the first. */
export class Flatten extends Module {
  readonly start: number
  readonly end: number

  constructor({ start = 1, end = -1 } = {}) {
    super()
    this.start = start
    this.end = end
  }

  forward(x: Tensor): Tensor {
    return torch.flatten(x, this.start, this.end)
  }

  protected override toStringExtra(): string {
    return `start=${this.start}, end=${this.end}`
  }
}

/** Dimension `dim` becomes dimensions of `size`; one of them may be -1. */
export class Unflatten extends Module {
  constructor(
    readonly dim: number,
    readonly size: readonly number[],
  ) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.unflatten(x, this.dim, this.size)
  }

  protected override toStringExtra(): string {
    return `${this.dim}, [${this.size.join(', ')}]`
  }
}

/** [B, C r^2, H, W] -> [B, C, H r, W r] (Shi et al. 2016). */
export class PixelShuffle extends Module {
  constructor(readonly factor: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.pixelShuffle(x, this.factor)
  }

  protected override toStringExtra(): string {
    return `${this.factor}`
  }
}

/** [B, C, H r, W r] -> [B, C r^2, H, W]. */
export class PixelUnshuffle extends Module {
  constructor(readonly factor: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.pixelUnshuffle(x, this.factor)
  }

  protected override toStringExtra(): string {
    return `${this.factor}`
  }
}

/** Channels of `groups` groups taken in turns (Zhang et al. 2018). x: [B, C, ...]. */
export class ChannelShuffle extends Module {
  constructor(readonly groups: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    return torch.channelShuffle(x, this.groups)
  }

  protected override toStringExtra(): string {
    return `${this.groups}`
  }
}

export interface WindowOptions {
  /** Distance between the taps; default 1. */
  dilation?: Size
  /** Zeros added on each side; default 0. */
  padding?: Size
  /** Step between windows; default 1. */
  stride?: Size
}

abstract class Windows extends Module {
  readonly kernel: readonly number[]
  readonly dilation: readonly number[]
  readonly padding: readonly number[]
  readonly stride: readonly number[]

  constructor(kernel: Size, options: WindowOptions) {
    super()
    this.kernel = sizes(kernel, 2, { what: 'kernel', least: 1 })
    this.dilation = sizes(options.dilation ?? 1, 2, { what: 'dilation', least: 1 })
    this.padding = sizes(options.padding ?? 0, 2, { what: 'padding' })
    this.stride = sizes(options.stride ?? 1, 2, { what: 'stride', least: 1 })
  }

  protected override toStringExtra(): string {
    return `kernel=${this.kernel.join('x')}, stride=${this.stride.join('x')}`
  }
}

/** Windows as columns: [B, C, H, W] -> [B, C kernel, windows]. */
export class Unfold extends Windows {
  constructor(kernel: Size, options: WindowOptions = {}) {
    super(kernel, options)
  }

  forward(x: Tensor): Tensor {
    return torch.im2col(x, this.kernel, this.dilation, this.padding, this.stride)
  }
}

/** Columns summed back into an image of `size`: [B, C kernel, windows] -> [B, C, ...size]. */
export class Fold extends Windows {
  readonly size: readonly number[]

  constructor(size: Size, kernel: Size, options: WindowOptions = {}) {
    super(kernel, options)
    this.size = sizes(size, 2, { what: 'the output size', least: 1 })
  }

  forward(x: Tensor): Tensor {
    return torch.col2im(x, this.size, this.kernel, this.dilation, this.padding, this.stride)
  }
}
