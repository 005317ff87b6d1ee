/** Resizing (`torch.nn.functional.interpolate`). */
import { LandmarkDiffusionError } from '../../errors.js'
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { wantTensor } from '../../torch/wants.js'
import { type Optional, optional } from '../optional.js'

export interface InterpolateOptions {
  /** Output size, a number for each spatial dimension or one for all; either this or `scaleFactor`. */
  size?: number | readonly number[] | null
  /** Output over input. */
  scaleFactor?: number | readonly number[] | null
  /**
   * Default 'nearest'. 'linear' is for [B, C, L], 'bilinear' and 'bicubic' for [B, C, H, W], 'trilinear' for
   * [B, C, D, H, W], the others for all. 'area' averages; 'nearest-exact' is 'nearest' without its shift.
   */
  mode?: 'nearest' | 'nearest-exact' | 'area' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear'
  /** The centres of the corner elements coincide, instead of their outer corners; default false. For the linear and cubic modes. */
  alignCorners?: boolean
  /** Averages where the output is smaller, as image libraries do; default false. For 'bilinear' and 'bicubic'. */
  antialias?: boolean
}

const rankOf = { linear: 1, bilinear: 2, bicubic: 2, trilinear: 3 } as const
const adaptivePools = [
  torch.adaptiveAvgPool1d,
  torch.adaptiveAvgPool2d,
  torch.adaptiveAvgPool3d,
] as const

/** x: [B, C, ...] -> [B, C, ...size]. */
export function interpolate(
  x: Tensor,
  ...rest: Optional<
    [size: number | readonly number[] | null, scaleFactor: number | readonly number[] | null],
    InterpolateOptions
  >
): Tensor {
  const options = optional<Required<InterpolateOptions>>('interpolate', rest, {
    size: null,
    scaleFactor: null,
    mode: 'nearest',
    alignCorners: false,
    antialias: false,
  })
  const { mode, alignCorners, antialias } = options
  wantTensor(x, 'the input')
  const rank = x.ndim - 2
  if ((options.size === null) === (options.scaleFactor === null)) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', 'interpolate wants either size or scaleFactor.')
  }
  const wanted = Object.hasOwn(rankOf, mode) ? rankOf[mode as keyof typeof rankOf] : null
  if (![1, 2, 3].includes(rank) || (wanted !== null && wanted !== rank)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `interpolate in mode '${mode}' does not fit an input of shape [${x.shape.join(', ')}].`,
    )
  }
  const all = (value: number | readonly number[]) =>
    typeof value === 'number' ? new Array<number>(rank).fill(value) : value
  const size = options.size === null ? null : all(options.size)
  const scale = options.scaleFactor === null ? null : all(options.scaleFactor)
  if ((size ?? scale)?.length !== rank) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `interpolate wants ${rank} sizes or factors, not ${(size ?? scale)?.length}.`,
    )
  }
  if (mode === 'area') {
    const pool = adaptivePools[rank - 1] as (typeof adaptivePools)[number]
    const scaled = (length: number, i: number) => Math.floor(length * (scale?.[i] as number))
    return pool(x, size ?? x.shape.slice(2).map(scaled))
  }
  if (mode === 'nearest' || mode === 'nearest-exact') {
    const kind = mode === 'nearest' ? 'upsample_nearest' : '_upsample_nearest_exact'
    return torch.call(`aten::${kind}${rank}d.vec`, [x, size, scale]) as Tensor
  }
  if (antialias && rank !== 2) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', "antialias is for 'bilinear' and 'bicubic'.")
  }
  const op = antialias ? `aten::_upsample_${mode}2d_aa.vec` : `aten::upsample_${mode}${rank}d.vec`
  return torch.call(op, [x, size, alignCorners, scale]) as Tensor
}

/** Repeats every pixel scale x scale times. x: [B, C, H, W] -> [B, C, sH, sW]. */
export function upsampleNearest(x: Tensor, scale = 2): Tensor {
  return torch.upsampleNearest2d(x, null, { scaleFactors: [scale, scale] })
}
