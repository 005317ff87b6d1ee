/** The graph of a backward pass, to be looked at: PyTorch's `grad_fn` and `next_functions`. */
import { addon } from '../addon.js'
import type { Tensor } from '../tensor.js'

/** What turns the gradient of a result into those of the inputs. */
export interface GradNode {
  /** As PyTorch names it: `AddBackward0`, `torch::autograd::AccumulateGrad` for a leaf. */
  readonly name: string
  /** Of each input, the node that made it; null where it needs no gradient. */
  readonly nextFunctions: readonly (GradNode | null)[]
}

/** The nodes behind a tensor that something differentiable made, when what was queued before is done. */
export async function gradientGraph(tensor: Tensor): Promise<GradNode> {
  const entries = await addon().native.gradientGraph(tensor.id)
  const nodes = entries.map(({ name }) => ({ name, nextFunctions: [] as (GradNode | null)[] }))
  for (const [i, { next }] of entries.entries()) {
    nodes[i]?.nextFunctions.push(...next.map((place) => nodes[place] ?? null))
  }
  // A result that was computed without gradients after all has no node; it is named as a detached one.
  return nodes[0] ?? { name: 'None', nextFunctions: [] }
}
