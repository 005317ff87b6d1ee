/**
 * Activation checkpointing: a part of the network that keeps only its inputs and is computed again in the
 * backward pass. As `torch.utils.checkpoint.checkpoint(..., use_reentrant=False)`.
 */
import { LandmarkDiffusionError } from '../../errors.js'
import { addon } from '../addon.js'
import { currentFrame, isGradEnabled, within } from '../context.js'
import { freeIds, takeId } from '../handles.js'
import { scope } from '../scope.js'
import { intern } from '../signature.js'
import { Tensor } from '../tensor.js'
import { wantFunction } from '../wants.js'
import { refusePromise, register } from './callbacks.js'

type Results = Tensor | readonly Tensor[]

function listed(results: unknown): readonly Tensor[] {
  refusePromise("checkpoint()'s function", results)
  const all: readonly unknown[] = Array.isArray(results) ? results : [results]
  if (all.every((result) => result instanceof Tensor)) return all as readonly Tensor[]
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    "checkpoint()'s function must return a tensor or an array of tensors",
  )
}

/** A second handle that no scope frees. */
function hold(tensor: Tensor): Tensor {
  const id = takeId()
  addon().native.alias(tensor.id, id)
  return within({ scope: null }, () => new Tensor(id, tensor.signature))
}

/** Runs `fn` with the random numbers that follow `state`; those after it are as if it had not run. */
function withRandomState<T>(state: number, fn: () => T): T {
  const { native } = addon()
  const current = takeId()
  native.readRngState(current)
  native.writeRngState(state)
  try {
    return fn()
  } finally {
    native.writeRngState(current)
    freeIds([current])
  }
}

/**
 * `fn(...args)`, whose activations are not kept: the backward pass runs `fn` again, with the same random
 * numbers, autocast and gradient mode. Its gradients are the same, its memory is that of one run of `fn`.
 *
 * `fn` is synchronous and computes the same each time. It may use other tensors than its arguments, such
 * as weights, if they still live when the backward pass runs; arguments are kept alive.
 */
export function checkpoint<A extends unknown[], R extends Results>(
  fn: (...args: A) => R,
  ...args: A
): R {
  wantFunction(fn, 'the function')
  if (!isGradEnabled()) return fn(...args)
  const { native } = addon()
  const { mode } = currentFrame()
  const state = takeId()
  native.readRngState(state)
  const held = args.map((value) => (value instanceof Tensor ? hold(value) : value)) as A
  const release = () => {
    freeIds([state])
    for (const value of held) if (value instanceof Tensor) value.dispose()
  }
  let recorded = false
  try {
    const begin = native.beginSegment()
    return scope(() => {
      const made: Results = fn(...args)
      const outputs = listed(made)
      if (!outputs.some(({ requiresGrad }) => requiresGrad)) return made
      const results = outputs.map(standIn)
      const again = () => within({ mode }, () => listed(fn(...held)))
      const callback = register({ run: () => withRandomState(state, again), release })
      recorded = true
      native.endSegment(begin, callback, idsOf(outputs), idsOf(results))
      return made instanceof Tensor ? (results[0] as Tensor) : results
    }) as R
  } finally {
    if (!recorded) release()
  }
}

const idsOf = (tensors: readonly Tensor[]) => tensors.map(({ id }) => id)

/** The handle of a result whose graph is not kept. */
function standIn({ signature }: Tensor): Tensor {
  const { dtypeNumber: dtype, requiresGrad, ...rest } = signature
  const isLeaf = !requiresGrad
  return new Tensor(takeId(), intern({ ...rest, dtype, defined: true, requiresGrad, isLeaf }))
}
