/** Resizing (`torch.nn.functional.interpolate`). */
import { LandmarkDiffusionError } from '../../errors.js'
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'

export interface InterpolateOptions {
  /** Output size, a number for each spatial dimension or one for all; either this or `scaleFactor`. */
  size?: number | readonly number[]
  /** Output over input. */
  scaleFactor?: number | readonly number[]
  /** Default 'nearest'. 'linear' is for [B, C, L], 'bilinear' and 'bicubic' for [B, C, H, W], 'trilinear' for [B, C, D, H, W]. */
  mode?: 'nearest' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear'
  /** The centres of the corner elements coincide, instead of their outer corners; default false. Not for 'nearest'. */
  alignCorners?: boolean
}

const rankOf = { linear: 1, bilinear: 2, bicubic: 2, trilinear: 3 } as const

/** x: [B, C, ...] -> [B, C, ...size]. */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  const { mode = 'nearest', alignCorners = false } = options
  const rank = x.ndim - 2
  if ((options.size === undefined) === (options.scaleFactor === undefined)) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', 'interpolate wants either size or scaleFactor.')
  }
  if (rank < 1 || rank > 3 || (mode !== 'nearest' && rankOf[mode] !== rank)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `interpolate in mode '${mode}' does not fit an input of shape [${x.shape.join(', ')}].`,
    )
  }
  const all = (value: number | readonly number[]) =>
    typeof value === 'number' ? new Array<number>(rank).fill(value) : value
  const size = options.size === undefined ? null : all(options.size)
  const scale = options.scaleFactor === undefined ? null : all(options.scaleFactor)
  if ((size ?? scale)?.length !== rank) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `interpolate wants ${rank} sizes or factors, not ${(size ?? scale)?.length}.`,
    )
  }
  if (mode === 'nearest') {
    const op = `aten::upsample_nearest${rank}d.vec`
    return torch.call(op, [x, size, scale]) as Tensor
  }
  const op = `aten::upsample_${mode}${rank}d.vec`
  return torch.call(op, [x, size, alignCorners, scale]) as Tensor
}

/** Repeats every pixel scale x scale times. x: [B, C, H, W] -> [B, C, sH, sW]. */
export function upsampleNearest(x: Tensor, scale = 2): Tensor {
  return torch.upsampleNearest2d(x, null, { scaleFactors: [scale, scale] })
}
