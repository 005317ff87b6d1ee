/** Gradients and parameters as one (`torch.nn.utils`). */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { listOf, wantTensor, wantTensors } from '../torch/wants.js'

export { skipInit } from './init.js'

/** The gradients of those parameters that have one; to be called in a scope. */
function gradientsOf(parameters: Iterable<Tensor>): Tensor[] {
  return torch.gradients(listOf(parameters, 'the parameters')).flatMap((gradient) => gradient ?? [])
}

function normOf(tensors: readonly Tensor[]): Tensor {
  return torch.call('landmark_diffusion::total_norm', [tensors]) as Tensor
}

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), norm = the Euclidean norm over every
 * element of every gradient. Nothing is awaited: the norm stays on the device. Parameters that no backward
 * pass reached are left out, as in PyTorch.
 *
 * @returns the norm before clipping, a 0-dim tensor; null when no parameter has a gradient.
 */
export function clipGradNorm_(parameters: Iterable<Tensor>, maxNorm: number): Tensor | null {
  return torch.noGrad(() =>
    torch.scope(() => {
      const gradients = gradientsOf(parameters)
      if (gradients.length === 0) return null
      return torch.skippingUndefined(() => {
        const total = normOf(gradients)
        const scale = total.add(1e-6).reciprocal().mul(maxNorm).clamp(null, 1)
        torch.call('aten::_foreach_mul_.Tensor', [gradients, scale])
        return total
      })
    }),
  )
}

/** Cuts each element of each gradient that is there to -clipValue..clipValue. */
export function clipGradValue_(parameters: Iterable<Tensor>, clipValue: number): void {
  torch.noGrad(() => {
    torch.scope(() => {
      const gradients = gradientsOf(parameters)
      torch.skippingUndefined(() => {
        torch.call('aten::_foreach_clamp_min_.Scalar', [gradients, -clipValue])
        torch.call('aten::_foreach_clamp_max_.Scalar', [gradients, clipValue])
      })
    })
  })
}

/** The Euclidean norm over all elements of all tensors, a 0-dim tensor. */
export function getTotalNorm(tensors: Iterable<Tensor>): Tensor {
  return torch.noGrad(() => torch.scope(() => normOf(listOf(tensors, 'the tensors'))))
}

/** All parameters in a row: [number of values]. */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  return torch.scope(() =>
    torch.cat(listOf(parameters, 'the parameters').map((one) => torch.reshape(one, [-1]))),
  )
}

/** Writes what `parametersToVector` made into parameters of the same shapes. */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  const targets = listOf(parameters, 'the parameters')
  wantTensors(targets, 'the parameters')
  wantTensor(vector, 'the vector')
  const wanted = targets.reduce((sum, { numel }) => sum + numel, 0)
  if (vector.numel !== wanted) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `vectorToParameters: the parameters have ${wanted} values, the vector ${vector.numel}.`,
    )
  }
  torch.noGrad(() => {
    torch.scope(() => {
      let start = 0
      for (const target of targets) {
        target.copy_(vector.narrow(0, start, target.numel).reshape(target.shape))
        start += target.numel
      }
    })
  })
}
