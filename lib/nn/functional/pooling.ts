/** Pooling that is more than one operator, or is spelt otherwise in PyTorch (`torch.nn.functional`). */
import { LandmarkDiffusionError } from '../../errors.js'
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { wantTensor } from '../../torch/wants.js'
import { type Size, sizes } from '../size.js'

const averages = [torch.avgPool1d, torch.avgPool2d, torch.avgPool3d] as const

/**
 * (sum x^power over each window)^(1 / power), a negative sum counting as zero.
 * x: [B, C, L], [B, C, H, W] or [B, C, D, H, W], by the length of `kernel`.
 */
export function lpPool(
  x: Tensor,
  power: number,
  kernel: readonly number[],
  stride: readonly number[] = kernel,
  ceilMode = false,
): Tensor {
  const average = averages[kernel.length - 1] as (typeof averages)[number]
  const elements = kernel.reduce((a, b) => a * b, 1)
  return torch.scope(() => {
    const mean = average(torch.pow(x, power), kernel, stride, 0, ceilMode)
    return mean
      .sign()
      .mul(mean.abs().relu())
      .mul(elements)
      .pow(1 / power)
  })
}

type PoolLp = (x: Tensor, power: number, kernel: Size, stride?: Size, ceilMode?: boolean) => Tensor

const lpPoolOf =
  (rank: number): PoolLp =>
  (x, power, kernel, stride = kernel, ceilMode = false) => {
    const window = sizes(kernel, rank, { what: 'kernel', least: 1 })
    const step = sizes(stride, rank, { what: 'stride', least: 1 })
    return lpPool(x, power, window, step, ceilMode)
  }

/** `lpPool` of [B, C, L]. */
export const lpPool1d = lpPoolOf(1)
/** `lpPool` of [B, C, H, W]. */
export const lpPool2d = lpPoolOf(2)
/** `lpPool` of [B, C, D, H, W]. */
export const lpPool3d = lpPoolOf(3)

/** The largest elements of windows, and their places in x (int64). */
export {
  adaptiveMaxPool1d as adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d as adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d as adaptiveMaxPool3dWithIndices,
  maxPool1dWithIndices,
  maxPool2dWithIndices,
  maxPool3dWithIndices,
} from '../../torch/index.js'

type AdaptiveMaxPool = (x: Tensor, size: Size) => Tensor

const adaptiveMax =
  (pool: (x: Tensor, size: Size) => readonly [Tensor, Tensor]): AdaptiveMaxPool =>
  (x, size) =>
    torch.scope(() => pool(x, size)[0])

/** The largest elements of windows chosen so that the output has `size`. x: [B, C, L]. */
export const adaptiveMaxPool1d = adaptiveMax(torch.adaptiveMaxPool1d)
/** As `adaptiveMaxPool1d`. x: [B, C, H, W]. */
export const adaptiveMaxPool2d = adaptiveMax(torch.adaptiveMaxPool2d)
/** As `adaptiveMaxPool1d`. x: [B, C, D, H, W]. */
export const adaptiveMaxPool3d = adaptiveMax(torch.adaptiveMaxPool3d)

export interface UnpoolOptions {
  /** Step of the windows; default the kernel. */
  stride?: Size
  /** As given to the pooling; default 0. */
  padding?: Size
  /** Of the spatial dimensions, where several sizes pool to the input's; default the smallest. */
  outputSize?: readonly number[] | null
}

/** Elements back to the places that `maxPool*WithIndices` told, zeros elsewhere. x: [B, C, ...] of `rank` spatial dimensions. */
export function maxUnpool(
  rank: number,
  x: Tensor,
  indices: Tensor,
  kernel: Size,
  { stride = kernel, padding = 0, outputSize = null }: UnpoolOptions = {},
): Tensor {
  if (![1, 2, 3].includes(rank)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `maxUnpool wants a rank of 1, 2 or 3, got ${rank}`,
    )
  }
  wantTensor(x, 'the input')
  wantTensor(indices, 'the indices')
  const window = sizes(kernel, rank, { what: 'kernel', least: 1 })
  const step = sizes(stride, rank, { what: 'stride', least: 1 })
  const border = sizes(padding, rank, { what: 'padding' })
  const smallest = window.map((length, i) => {
    const pooled = x.shape[x.ndim - rank + i] as number
    return (pooled - 1) * (step[i] as number) + length - 2 * (border[i] as number)
  })
  const size = outputSize === null ? smallest : outputSize.slice(-rank)
  for (const [i, length] of size.entries()) {
    const least = (smallest[i] as number) - (step[i] as number)
    const most = (smallest[i] as number) + (step[i] as number)
    if (size.length === rank && length > least && length < most) continue
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `maxUnpool${rank}d cannot make size [${size.join(', ')}] of ${x}; it makes [${smallest.join(', ')}] and sizes less than a stride from it.`,
    )
  }
  if (rank === 3) return torch.maxUnpool3d(x, indices, size, step, border)
  if (rank === 2) return torch.maxUnpool2d(x, indices, size)
  return torch.scope(() =>
    torch.maxUnpool2d(x.unsqueeze(-1), indices.unsqueeze(-1), [...size, 1]).squeeze(-1),
  )
}

type Unpool = (x: Tensor, indices: Tensor, kernel: Size, options?: UnpoolOptions) => Tensor

/** `maxUnpool` of [B, C, L]. */
export const maxUnpool1d: Unpool = (x, indices, kernel, options) =>
  maxUnpool(1, x, indices, kernel, options)
/** `maxUnpool` of [B, C, H, W]. */
export const maxUnpool2d: Unpool = (x, indices, kernel, options) =>
  maxUnpool(2, x, indices, kernel, options)
/** `maxUnpool` of [B, C, D, H, W]. */
export const maxUnpool3d: Unpool = (x, indices, kernel, options) =>
  maxUnpool(3, x, indices, kernel, options)
