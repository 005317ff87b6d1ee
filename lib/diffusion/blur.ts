/**
 * The blur of the reverse process ("Salt & Pepper Heatmaps", arXiv 2407.09192, section 3): the clean
 * estimate is smoothed by a fixed-size Gaussian whose width shrinks with t, so that isolated specks
 * die early and clusters survive.
 */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

export interface BlurOptions {
  /** Taps of the kernel along each axis, odd; default 13. */
  kernelSize?: number
  /** Standard deviation in pixels at t = 0; default 0.1, which changes nothing. */
  sigmaMin?: number
  /** Standard deviation in pixels at t = T - 1; default 14 (nearly a box, with 13 taps). */
  sigmaMax?: number
  /** Blur and then clamp to [-1, 1] (default), the other way round, or clamp alone. */
  order?: 'blur-clamp' | 'clamp-blur' | 'none'
}

/** sigma(t) = sigmaMin + t (sigmaMax - sigmaMin) / (T - 1). */
export class BlurSchedule {
  readonly kernelSize: number
  readonly sigmaMin: number
  readonly sigmaMax: number
  readonly order: 'blur-clamp' | 'clamp-blur' | 'none'
  readonly timesteps: number

  constructor(timesteps: number, options: BlurOptions = {}) {
    const { kernelSize = 13, sigmaMin = 0.1, sigmaMax = 14, order = 'blur-clamp' } = options
    if (!Number.isInteger(kernelSize) || kernelSize % 2 !== 1) {
      throw new RangeError(`sampling.blur.kernelSize is ${kernelSize}; give an odd whole number.`)
    }
    this.timesteps = timesteps
    this.kernelSize = kernelSize
    this.sigmaMin = sigmaMin
    this.sigmaMax = sigmaMax
    this.order = order
  }

  /** Standard deviation at time t, in pixels. */
  sigma(t: number): number {
    return this.sigmaMin + (t * (this.sigmaMax - this.sigmaMin)) / Math.max(1, this.timesteps - 1)
  }

  /** x0: [B, N, H, W] estimate at time t -> what enters the chain: smoothed and inside [-1, 1]. */
  apply(x0: Tensor, t: number): Tensor {
    return torch.scope(() => this.applyTaps(x0, torch.tensor(this.taps(t))))
  }

  /** The kernel of one axis at time t: [kernelSize]. */
  taps(t: number): Float32Array {
    return Float32Array.from(gaussianTaps(this.kernelSize, this.sigma(t)))
  }

  /** `apply` with the kernel as a tensor, float32 [kernelSize]. */
  applyTaps(x0: Tensor, taps: Tensor): Tensor {
    if (this.order === 'none') return x0.clamp(-1, 1)
    return torch.scope(() =>
      this.order === 'blur-clamp'
        ? separableBlur(x0, taps).clamp(-1, 1)
        : separableBlur(x0.clamp(-1, 1), taps),
    )
  }
}

/** The taps exp(-i^2 / (2 sigma^2)), i counted from the middle, scaled to sum 1. */
export function gaussianTaps(size: number, sigma: number): Float64Array {
  const taps = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-0.5 * ((i - (size - 1) / 2) / sigma) ** 2),
  )
  const sum = taps.reduce((a, b) => a + b, 0)
  return taps.map((tap) => tap / sum)
}

/**
 * x: [B, N, H, W] convolved with a size x size Gaussian, border pixels repeated outward. The kernel
 * is an outer product, so two passes of `size` taps do what one of size^2 would.
 */
export function gaussianBlur(x: Tensor, size: number, sigma: number): Tensor {
  return torch.scope(() =>
    separableBlur(x, torch.tensor(Float32Array.from(gaussianTaps(size, sigma)))),
  )
}

/** x: [B, N, H, W] convolved along both axes with float32 `kernel` [size], size odd. */
function separableBlur(x: Tensor, kernel: Tensor): Tensor {
  return torch.scope(() => {
    const channels = x.shape[1] as number
    const size = kernel.numel
    const margin = (size - 1) / 2
    const taps = kernel.to(x.dtype).to(x.device)
    const padded = torch.call('aten::replication_pad2d', [
      x,
      [margin, margin, margin, margin],
    ]) as Tensor
    const rows = convolve(padded, taps.reshape([1, 1, size, 1]).expand([channels, 1, size, 1]))
    return convolve(rows, taps.reshape([1, 1, 1, size]).expand([channels, 1, 1, size]))
  })
}

/**
 * Each channel with its own kernel, by the operator that autocast leaves alone: taps in bfloat16 would
 * not sum to 1. x: [B, N, H, W], weight: [N, 1, h, w].
 */
function convolve(x: Tensor, weight: Tensor): Tensor {
  return torch.call('aten::convolution', [x, weight, null], {
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    transposed: false,
    output_padding: [0, 0],
    groups: weight.shape[0] as number,
  }) as Tensor
}
