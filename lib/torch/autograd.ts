/** Gradients as values, without touching any tensor's `grad`. */
import { addon } from './addon.js'
import { takeId } from './handles.js'
import { intern } from './signature.js'
import { Tensor } from './tensor.js'
import { traceId } from './trace.js'

export interface GradOptions {
  /** dL/d(output) per output; may be left out for outputs of a single value. */
  gradOutputs?: readonly (Tensor | null)[]
  retainGraph?: boolean
  /** Records the gradients themselves, for second derivatives. */
  createGraph?: boolean
  /** Without it, an input that no output depends on is an error (at the next await). */
  allowUnused?: boolean
}

/** Gradients of the sum of `outputs` with respect to each input. As `torch.autograd.grad`. */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): Tensor[] {
  const roots = outputs instanceof Tensor ? [outputs] : outputs
  const leaves = inputs instanceof Tensor ? [inputs] : inputs
  const { createGraph = false, allowUnused = false, gradOutputs } = options
  const retainGraph = options.retainGraph ?? createGraph
  const rootIds = roots.map((tensor) => tensor.id)
  const leafIds = leaves.map((tensor) => tensor.id)
  const gradientIds = roots.map((_, i) => gradOutputs?.[i]?.id ?? 0)
  const results = leaves.map(({ signature }) => {
    const { shape, strides, dtypeNumber: dtype, device } = signature
    const info = {
      defined: true,
      shape,
      strides,
      dtype,
      device,
      requiresGrad: createGraph,
      traits: 0,
    }
    return { id: takeId(), signature: intern(info) }
  })
  addon().native.grad(
    rootIds,
    leafIds,
    gradientIds,
    retainGraph,
    createGraph,
    allowUnused,
    results.map(({ id }) => id),
    traceId(),
  )
  return results.map(({ id, signature }) => new Tensor(id, signature))
}
