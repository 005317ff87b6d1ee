/** Layers that only move elements: Flatten, Unflatten, PixelShuffle, ChannelShuffle, Fold, as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { fold, unfold, type WindowSettings } from './functional/index.js'
import { Module } from './module.js'
import { type Optional, optional } from './optional.js'
import type { Size } from './size.js'

/** Dimensions `startDim` to `endDim` become one; default all but the first. */
export class Flatten extends Module {
  readonly startDim: number
  readonly endDim: number

  constructor(
    ...rest: Optional<[startDim: number, endDim: number], { startDim?: number; endDim?: number }>
  ) {
    super()
    const { startDim, endDim } = optional(this.constructor.name, rest, { startDim: 1, endDim: -1 })
    this.startDim = startDim
    this.endDim = endDim
  }

  forward(x: Tensor): Tensor {
    return torch.flatten(x, this.startDim, this.endDim)
  }

  protected override toStringExtra(): string {
    return `startDim=${this.startDim}, endDim=${this.endDim}`
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

type WindowArguments = Optional<[dilation: Size, padding: Size, stride: Size], WindowSettings>

abstract class Windows extends Module {
  readonly options: Required<WindowSettings>

  constructor(
    readonly kernel: Size,
    rest: WindowArguments,
  ) {
    super()
    const defaults: Required<WindowSettings> = { dilation: 1, padding: 0, stride: 1 }
    this.options = optional(this.constructor.name, rest, defaults)
  }

  protected override toStringExtra(): string {
    return `kernel=${this.kernel}, stride=${this.options.stride}`
  }
}

/** Windows as columns: [B, C, H, W] -> [B, C kernel, windows]. */
export class Unfold extends Windows {
  constructor(kernel: Size, ...rest: WindowArguments) {
    super(kernel, rest)
  }

  forward(x: Tensor): Tensor {
    return unfold(x, this.kernel, this.options)
  }
}

/** Columns summed back into an image of `size`: [B, C kernel, windows] -> [B, C, ...size]. */
export class Fold extends Windows {
  constructor(
    readonly size: Size,
    kernel: Size,
    ...rest: WindowArguments
  ) {
    super(kernel, rest)
  }

  forward(x: Tensor): Tensor {
    return fold(x, this.size, this.kernel, this.options)
  }
}
