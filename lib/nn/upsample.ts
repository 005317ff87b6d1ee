/** Upsample in mode 'nearest', as in `torch.nn`. */
import type { Tensor } from '../torch/index.js'
import { upsampleNearest } from './functional.js'
import { Module } from './module.js'

/** y[.., i, j] = x[.., floor(i / scale), floor(j / scale)]. x: [B, C, H, W] -> [B, C, sH, sW]. */
export class Upsample extends Module {
  readonly scale: number

  constructor({ scale = 2 } = {}) {
    super()
    this.scale = scale
  }

  forward(x: Tensor): Tensor {
    return upsampleNearest(x, this.scale)
  }

  protected override toStringExtra(): string {
    return `scale=${this.scale}, mode=nearest`
  }
}
