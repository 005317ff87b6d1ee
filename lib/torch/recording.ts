/**
 * Whether a program's function runs now, and what it does that the addon cannot see: which leaves it uses, and
 * what it may not do because a replay would not do it again.
 */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from './tensor.js'
import { callerLine } from './trace.js'

/** Leaves that require gradients, and whether each had one when the function first used it. */
export type Leaves = Map<Tensor, boolean>

/** Those that the function of a program has used so far; null while none is recorded. */
let leaves: Leaves | null = null

/** Runs `fn` as a program's function. */
export function recordLeaves(fn: () => void): Leaves {
  const found: Leaves = new Map()
  leaves = found
  try {
    fn()
  } finally {
    leaves = null
  }
  return found
}

export function isRecording(): boolean {
  return leaves !== null
}

/** Notes that the function uses `tensor`. */
export function noteUse(tensor: Tensor): void {
  const { requiresGrad, isLeaf } = tensor.signature
  if (leaves === null || !requiresGrad || !isLeaf || leaves.has(tensor)) return
  leaves.set(tensor, tensor.gradientKind !== null)
}

/** Throws where a program's function does `what`. */
export function refuseInProgram(what: string, remedy: string): void {
  if (leaves !== null) throw notInProgram(what, remedy)
}

export function notInProgram(what: string, remedy: string): LandmarkDiffusionError {
  const line = callerLine(new Error('program'))
  const where = line === '' ? '' : ` (${line})`
  return new LandmarkDiffusionError(
    'ERR_PROGRAM',
    `${what} in a program's function${where}: the function runs once, and its operators are replayed without it. ${remedy}`,
  )
}
