/** Backward passes over several tensors: gradients into `grad`, or as values. */
import { LandmarkDiffusionError } from '../../errors.js'
import { addon } from '../addon.js'
import { takeId } from '../handles.js'
import { gradientSignature } from '../signature.js'
import { beginPass, queueBackward, Tensor } from '../tensor.js'
import { traceId } from '../trace.js'
import { wantTensors } from '../wants.js'

interface PassOptions {
  /** Keeps the graph for a further pass; without it, as with `createGraph`. */
  retainGraph?: boolean
  /** Records the gradients themselves, for further derivatives. */
  createGraph?: boolean
}

export interface GradOptions extends PassOptions {
  /** dL/d(output) per output; may be left out for outputs of a single value. */
  gradOutputs?: Tensor | readonly (Tensor | null)[]
  /** Without it, an input that no output depends on is an error (at the next await). */
  allowUnused?: boolean
  /** Zeros for an input that no output depends on; implies `allowUnused`. */
  materializeGrads?: boolean
}

export interface BackwardManyOptions extends PassOptions {
  /** dL/d(tensor) per tensor; may be left out for tensors of a single value. */
  gradTensors?: Tensor | readonly (Tensor | null)[]
  /** Accumulate into these leaves only. */
  inputs?: Tensor | readonly Tensor[]
}

function list<T extends Tensor | null>(
  value: Tensor | readonly T[] | undefined,
  what: string,
): readonly T[] {
  if (value === undefined) return []
  if (value instanceof Tensor) return [value as T]
  wantTensors(Array.isArray(value) ? value.filter((one) => one !== null) : value, what)
  return value
}

/** The same, where none may be absent. */
function listAll(value: Tensor | readonly Tensor[] | undefined, what: string): readonly Tensor[] {
  const all = list<Tensor>(value, what)
  wantTensors(all, what)
  return all
}

/** One seed per root; refuses what PyTorch refuses. */
function seedsFor(
  what: string,
  roots: readonly Tensor[],
  given: readonly (Tensor | null)[],
): (Tensor | null)[] {
  const fail = (message: string) => new LandmarkDiffusionError('ERR_OP', `${what}: ${message}`)
  if (roots.length === 0) throw fail('there is no tensor to start from')
  if (given.length > 0 && given.length !== roots.length) {
    throw fail(`got ${given.length} gradients for ${roots.length} tensors`)
  }
  return roots.map((root, i) => {
    const seed = given[i] ?? null
    if (!root.requiresGrad) {
      throw fail(
        `tensor ${i} does not require a gradient; it was made from constants or inside noGrad()`,
      )
    }
    if (seed === null && root.numel !== 1) {
      throw fail(
        `the gradient can be left out only for a single value, tensor ${i} has shape [${root.shape.join(', ')}]`,
      )
    }
    if (seed !== null && seed.shape.join() !== root.shape.join()) {
      throw fail(
        `gradient ${i} has shape [${seed.shape.join(', ')}], its tensor [${root.shape.join(', ')}]`,
      )
    }
    return seed
  })
}

/** Adds the gradients of the sum of `tensors` to the leaves' `grad`. As `torch.autograd.backward`. */
export function backward(
  tensors: Tensor | readonly Tensor[],
  options: BackwardManyOptions = {},
): void {
  const { createGraph = false, retainGraph = createGraph } = options
  const roots = listAll(tensors, 'the tensors')
  const seeds = seedsFor('backward()', roots, list(options.gradTensors, 'gradTensors'))
  queueBackward(roots, seeds, {
    retainGraph,
    createGraph,
    inputs: listAll(options.inputs, 'the inputs'),
  })
}

/**
 * Gradients of the sum of `outputs` with respect to each input, laid out as `grad` is. As
 * `torch.autograd.grad`. With `allowUnused` the gradient of an unused input holds nothing, and reading it
 * rejects.
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): Tensor[] {
  const { createGraph = false, retainGraph = createGraph, materializeGrads = false } = options
  const allowUnused = options.allowUnused ?? materializeGrads
  const roots = listAll(outputs, 'the outputs')
  const leaves = listAll(inputs, 'the inputs')
  const seeds = seedsFor('grad()', roots, list(options.gradOutputs, 'gradOutputs'))
  for (const [i, { requiresGrad }] of leaves.entries()) {
    if (requiresGrad) continue
    throw new LandmarkDiffusionError('ERR_OP', `grad(): input ${i} does not require a gradient`)
  }
  const rootIds = roots.map((tensor) => tensor.id)
  const leafIds = leaves.map((tensor) => tensor.id)
  const seedIds = seeds.map((seed) => seed?.id ?? 0)
  const ids = leaves.map(() => takeId())
  addon().native.grad(
    rootIds,
    leafIds,
    seedIds,
    retainGraph,
    createGraph,
    allowUnused,
    materializeGrads,
    ids,
    traceId(),
    beginPass(),
  )
  return leaves.map(
    ({ signature }, i) =>
      new Tensor(ids[i] as number, gradientSignature(signature, 'contract', createGraph)),
  )
}
