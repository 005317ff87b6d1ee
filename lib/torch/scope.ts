/**
 * Scopes free what was made inside them, except what leaves through the result or was kept. They follow
 * async code and nest; concurrent tasks have scopes of their own.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { currentFrame, within } from './context.js'
import { freeIds } from './handles.js'
import { Tensor } from './tensor.js'

const kept = new WeakSet<Tensor>()

/** Takes a tensor out of every scope: only `dispose()` frees it from now on. */
export function keep<T extends Tensor>(tensor: T): T {
  kept.add(tensor)
  return tensor
}

/** Tensors inside a result: in arrays, maps, sets and plain objects, however deep. */
function tensorsIn(value: unknown, found: Set<Tensor>, seen: Set<unknown>): void {
  if (value instanceof Tensor) {
    found.add(value)
    return
  }
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  if (Array.isArray(value) || value instanceof Set) {
    for (const element of value) tensorsIn(element, found, seen)
  } else if (value instanceof Map) {
    for (const element of value.values()) tensorsIn(element, found, seen)
  } else {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) return
    for (const element of Object.values(value)) tensorsIn(element, found, seen)
  }
}

function leave(tensors: readonly Tensor[], result: unknown): void {
  const leaving = new Set<Tensor>()
  tensorsIn(result, leaving, new Set())
  const outer = currentFrame().scope
  const ids: number[] = []
  for (const tensor of tensors) {
    if (tensor.disposed || kept.has(tensor)) continue
    if (leaving.has(tensor)) outer?.push(tensor)
    else ids.push(tensor.release())
  }
  freeIds(ids)
}

/** Runs `fn` and frees the tensors made in it, except those in its result. For plain functions only. */
export function scope<T>(fn: () => T extends PromiseLike<unknown> ? never : T): T {
  const tensors: Tensor[] = []
  let result: unknown
  try {
    result = within({ scope: tensors }, fn)
    if (typeof (result as PromiseLike<unknown> | null)?.then === 'function') {
      // The work goes on without a scope; its tensors must not vanish under it.
      tensors.length = 0
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        'scope() got an async function: its tensors would be freed before it is done. Use `await scopeAsync(...)`.',
      )
    }
    return result as T
  } finally {
    leave(tensors, result)
  }
}

/** Runs an async `fn` and frees the tensors made in it, also after an await, except those in its result. */
export async function scopeAsync<T>(fn: () => T | PromiseLike<T>): Promise<T> {
  const tensors: Tensor[] = []
  let result: T | undefined
  try {
    result = await within({ scope: tensors }, fn)
    return result
  } finally {
    leave(tensors, result)
  }
}
