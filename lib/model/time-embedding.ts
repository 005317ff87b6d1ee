/** Sinusoidal encoding of the diffusion step (Vaswani et al. 2017, section 3.5; Ho et al. 2020). */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

export interface TimeEmbeddingOptions {
  /** Which half comes first: the authors' code has 'sin-cos' (default), latent-diffusion 'cos-sin'. */
  order?: 'sin-cos' | 'cos-sin'
  /** What the exponent is divided by, half = dimension / 2: the authors' code 'half-1' (default), latent-diffusion 'half'. */
  divisor?: 'half-1' | 'half'
}

/** exp(-ln(10000) i / divisor) for i = 0 .. half - 1, float32 [half]: one angular frequency a column. */
export function frequencies(
  dimension: number,
  { divisor = 'half-1' }: TimeEmbeddingOptions,
): Tensor {
  const half = Math.floor(dimension / 2)
  const denominator = divisor === 'half' ? half : half - 1
  return torch.scope(() => {
    const index = torch.tensor(Float32Array.from({ length: half }, (_, i) => i))
    return index.mul(-Math.log(10000) / denominator).exp()
  })
}

/** t: int64 [B] steps, frequencies: [half] -> [B, 2 half], sines and cosines of t * frequency. */
export function encodeTime(
  t: Tensor,
  frequencies: Tensor,
  { order = 'sin-cos' }: TimeEmbeddingOptions = {},
): Tensor {
  const angles = t.to(frequencies.dtype).unsqueeze(1).mul(frequencies)
  const parts = [angles.sin(), angles.cos()]
  return torch.cat(order === 'sin-cos' ? parts : parts.reverse(), 1)
}
