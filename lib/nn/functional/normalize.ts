/** Scaling by neighbours or by a norm (`torch.nn.functional`). */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { pad } from './pad.js'

export interface NormalizeOptions {
  /** Which norm; default 2. */
  p?: number
  /** Dimension to reduce; default 1. */
  dim?: number
  /** Least divisor; default 1e-12. */
  eps?: number
}

/** x / max(|x|_p, eps) along `dim`. */
export function normalize(
  x: Tensor,
  { p = 2, dim = 1, eps = 1e-12 }: NormalizeOptions = {},
): Tensor {
  return torch.scope(() =>
    x.div(torch.linalg.vectorNorm(x, p, [dim], { keepdim: true }).clampMin(eps).expandAs(x)),
  )
}

/** x / (k + alpha mean(x^2 over `size` neighbouring channels))^beta. x: [B, C, ...]. */
export function localResponseNorm(
  x: Tensor,
  size: number,
  { alpha = 1e-4, beta = 0.75, k = 1 }: { alpha?: number; beta?: number; k?: number } = {},
): Tensor {
  return torch.scope(() => {
    const [batch = 0, channels = 0] = x.shape
    const square = x.square().reshape([batch, 1, channels, -1])
    const border = [0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)]
    const mean = torch.avgPool2d(pad(square, border), [size, 1], [1, 1]).reshape([...x.shape])
    return x.div(mean.mul(alpha).add(k).pow(beta))
  })
}
