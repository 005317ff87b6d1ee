/**
 * Whether a program's function runs now, and what it does that the addon cannot see: which leaves it uses, and
 * what it may not do because a replay would not do it again.
 */
import { LandmarkDiffusionError } from '../errors.js'
import type { Tensor } from './tensor.js'
import { callerLine } from './trace.js'

/** Leaves with gradients that the function of a program has used so far; null while none is recorded. */
let leaves: Set<Tensor> | null = null
/** What the function was first refused. */
let refusal: LandmarkDiffusionError | null = null

/** Runs `fn` as a program's function; the leaves that it used. */
export function recordLeaves(fn: () => void): Set<Tensor> {
  const found = new Set<Tensor>()
  leaves = found
  refusal = null
  try {
    fn()
  } finally {
    leaves = null
  }
  return found
}

/** Whether the function of a program runs here, and what it queues is recorded. */
export function isRecordingProgram(): boolean {
  return leaves !== null
}

/** Notes that the function uses `tensor`. */
export function noteUse(tensor: Tensor): void {
  if (leaves !== null && tensor.signature.requiresGrad && tensor.signature.isLeaf)
    leaves.add(tensor)
}

/** Throws where a program's function does `what`. */
export function refuseInProgram(what: string, remedy: string): void {
  if (leaves === null) return
  refusal ??= notInProgram(what, remedy)
  throw refusal
}

/** The error for a function that returned a promise; in which a refusal may have ended. */
export function noPromise(): LandmarkDiffusionError {
  const remedy = 'Make it synchronous: it queues operators, and awaits nothing.'
  return refusal ?? notInProgram('A promise was returned', remedy)
}

function notInProgram(what: string, remedy: string): LandmarkDiffusionError {
  const line = callerLine(new Error('program'))
  const where = line === '' ? '' : ` (${line})`
  return new LandmarkDiffusionError(
    'ERR_PROGRAM',
    `${what} in a program's function${where}: the function runs once, and its operators are replayed without it. ${remedy}`,
  )
}
