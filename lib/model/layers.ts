/**
 * The U-Net's layers on the package's own operators: group norm and SiLU in one, convolutions with bias, time embedding
 * and residual in one. Everything stays in channels_last, where tokens [B, H*W, C] are a view.
 */
import type { Conv2d, Dropout, GroupNorm } from '../nn/index.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

/** [B, C1, H, W] and [B, C2, H, W], for [B, C1 + C2, H, W] without making it. */
export type Apart = readonly [Tensor, Tensor]

const isApart = (x: Tensor | Apart): x is Apart => Array.isArray(x)

/** [B, C, H, W], made where it is not there. */
export function joined(x: Tensor | Apart): Tensor {
  return isApart(x) ? torch.cat([...x], 1) : x
}

/** silu(norm(x)). x: [B, C, H, W], whole or apart -> the same shape, whole. */
export function groupNormSilu(norm: GroupNorm, x: Tensor | Apart): Tensor {
  return isApart(x)
    ? normalize('landmark_diffusion::joined_group_norm_silu', norm, ...x)
    : normalize('landmark_diffusion::group_norm_silu', norm, x)
}

/** norm(x). x: [B, C, H, W] -> the same shape. */
export function groupNorm(norm: GroupNorm, x: Tensor): Tensor {
  return normalize('landmark_diffusion::group_norm', norm, x)
}

function normalize(
  operator: string,
  { groups, weight, bias, eps }: GroupNorm,
  ...x: readonly Tensor[]
): Tensor {
  return torch.scope(() => {
    const [y] = torch.call(operator, [...x, weight, bias, groups, eps]) as [Tensor, Tensor, Tensor]
    return y
  })
}

/** dropout(x); on the CPU by an operator that keeps no mask. x: any shape -> the same. */
export function drop(dropout: Dropout, x: Tensor): Tensor {
  const { p, training } = dropout
  if (!training || p === 0 || x.device !== 'cpu') return dropout.forward(x)
  return torch.scope(() => {
    const [y] = torch.call('landmark_diffusion::dropout', [x, p]) as [Tensor, Tensor]
    return y
  })
}

export interface Addends {
  /** [B, out]: added to all pixels of an image. */
  shift?: Tensor | null
  /** Added to the result, of whose shape it is. */
  residual?: Tensor | null
}

/**
 * conv(x) + shift + residual, for convolutions with one stride and one padding. x: [B, in, H, W], whole or apart
 * -> [B, out, H', W'].
 */
export function convolve(
  conv: Conv2d,
  x: Tensor | Apart,
  { shift = null, residual = null }: Addends = {},
): Tensor {
  return torch.scope(() => {
    const bias = shift && conv.bias ? shift.add(conv.bias) : (shift ?? conv.bias)
    const call = (x: Tensor, weight: Tensor, bias: Tensor | null, residual: Tensor | null) =>
      torch.call('landmark_diffusion::conv2d', [
        x,
        weight,
        bias,
        residual,
        conv.stride[0],
        (conv.padding as readonly number[])[0],
      ]) as Tensor
    if (!isApart(x)) return call(x, conv.weight, bias, residual)
    const sizes = x.map((part) => part.shape[1] as number)
    const [first, second] = conv.weight.split(sizes, 1) as [Tensor, Tensor]
    return call(x[1], second, bias, call(x[0], first, null, residual))
  })
}

/** conv of x doubled by repetition, for 3x3 filters with padding 1. x: [B, in, H, W] -> [B, out, 2H, 2W]. */
export function upsampleConvolve({ weight, bias }: Conv2d, x: Tensor): Tensor {
  return torch.call('landmark_diffusion::upsample_conv2d', [x, weight, bias]) as Tensor
}
