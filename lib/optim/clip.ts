/** Gradient clipping by the norm over all parameters (`torch.nn.utils.clip_grad_norm_`). */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), norm = the Euclidean norm over every
 * element of every gradient. Nothing is awaited: the norm stays on the device. Every parameter given
 * must have been reached by a backward pass since its gradient was cleared, or none.
 *
 * @returns the norm before clipping, a 0-dim tensor; null when no parameter has a gradient.
 */
export function clipGradNorm_(parameters: Iterable<Tensor>, maxNorm: number): Tensor | null {
  return torch.noGrad(() =>
    torch.scope(() => {
      const gradients = torch.gradients([...parameters]).flatMap((gradient) => gradient ?? [])
      if (gradients.length === 0) return null
      const norms = torch.call('aten::_foreach_norm.Scalar', [gradients, 2]) as Tensor[]
      const total = torch.call('aten::linalg_vector_norm', [torch.stack(norms)]) as Tensor
      const scale = total.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1)
      torch.call('aten::_foreach_mul_.Tensor', [gradients, scale])
      return total
    }),
  )
}
