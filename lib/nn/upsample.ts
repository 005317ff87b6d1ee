/** Upsample and its two older names, as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import { type InterpolateOptions, interpolate } from './functional/index.js'
import { Module } from './module.js'

/** Resizes by a factor or to a size; by default twice as large, mode 'nearest'. x: [B, C, ...] -> [B, C, ...]. */
export class Upsample extends Module {
  readonly options: InterpolateOptions

  constructor(options: InterpolateOptions = { scaleFactor: 2 }) {
    super()
    this.options = options
  }

  forward(x: Tensor): Tensor {
    return interpolate(x, this.options)
  }

  protected override toStringExtra(): string {
    const { size, scaleFactor, mode = 'nearest' } = this.options
    const to = size == null ? `scaleFactor=${scaleFactor}` : `size=${size}`
    return `${to}, mode=${mode}`
  }
}

export type UpsamplingOptions = Pick<InterpolateOptions, 'size' | 'scaleFactor'>

/** Mode 'nearest'. x: [B, C, H, W]. */
export class UpsamplingNearest2d extends Upsample {
  constructor(options: UpsamplingOptions) {
    super({ ...options, mode: 'nearest' })
  }
}

/** Mode 'bilinear' with aligned corners. x: [B, C, H, W]. */
export class UpsamplingBilinear2d extends Upsample {
  constructor(options: UpsamplingOptions) {
    super({ ...options, mode: 'bilinear', alignCorners: true })
  }
}
