/**
 * Scopes free what was made inside them, except what leaves through the result or was kept. They follow
 * async code and nest; concurrent tasks have scopes of their own.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { currentFrame, within } from './context.js'
import { elementBytes } from './dtype.js'
import { freeIds } from './handles.js'
import { Tensor } from './tensor.js'

export interface ScopeOptions {
  /** Shown by `memory().scopes`. */
  name?: string
}

/** What a scope holds at the moment. */
export interface ScopeMemory {
  readonly name: string | null
  /** Tensors made in it and not freed, without those of scopes inside it. */
  readonly tensors: number
  /** Bytes of their elements; a view counts like a tensor of its own. */
  readonly bytes: number
  /** Tensors made in it so far. */
  readonly made: number
}

const kept = new WeakSet<Tensor>()
/** Tensors that a scope takes before it looks for freed ones among them. */
const firstLook = 1024

export class Scope {
  readonly name: string | null
  readonly #outer: Scope | null
  #tensors: Tensor[] = []
  /** At this length something is to be done before the next tensor; 0 once the scope has ended. */
  #room = firstLook
  #forgotten = 0

  constructor(outer: Scope | null, name: string | null) {
    this.#outer = outer
    this.name = name
  }

  /** The scope around it. */
  get outer(): Scope | null {
    return this.#outer
  }

  add(tensor: Tensor): void {
    if (this.#tensors.length < this.#room) this.#tensors.push(tensor)
    else this.#addSlowly(tensor)
  }

  #addSlowly(tensor: Tensor): void {
    if (this.#room === 0) {
      // Work that outlived its scope, such as a timer: the tensor belongs to the scope around it.
      this.#outer?.add(tensor)
      return
    }
    // A scope that lasts as long as a server must not remember every tensor that there ever was.
    const living = this.#tensors.filter((one) => !one.disposed && !kept.has(one))
    this.#forgotten += this.#tensors.length - living.length
    this.#tensors = living
    this.#room = Math.max(firstLook, 2 * living.length)
    living.push(tensor)
  }

  /** Frees its tensors, except those in `result`, which go to the scope around it. */
  end(result: unknown): void {
    const leaving = new Set<Tensor>()
    tensorsIn(result, leaving, new Set())
    const ids: number[] = []
    const tensors = this.#tensors
    this.release()
    for (const tensor of tensors) {
      if (tensor.disposed || kept.has(tensor)) continue
      if (leaving.has(tensor)) this.#outer?.add(tensor)
      else ids.push(tensor.release())
    }
    if (ids.length > 0) freeIds(ids)
  }

  /** Ends it without freeing anything. */
  release(): void {
    this.#tensors = []
    this.#room = 0
  }

  /** Tensors made in it so far. */
  get made(): number {
    return this.#forgotten + this.#tensors.length
  }

  memory(): ScopeMemory {
    const living = this.#tensors.filter((tensor) => !tensor.disposed && !kept.has(tensor))
    const bytes = living.reduce((sum, tensor) => sum + tensor.numel * elementBytes(tensor.dtype), 0)
    return { name: this.name, tensors: living.length, bytes, made: this.made }
  }
}

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
  if (Array.isArray(value)) {
    // An array may have a length of billions and hold nothing.
    for (const element of Object.values(value)) tensorsIn(element, found, seen)
  } else if (value instanceof Set) {
    for (const element of value) tensorsIn(element, found, seen)
  } else if (value instanceof Map) {
    for (const element of value.values()) tensorsIn(element, found, seen)
  } else {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) return
    for (const element of Object.values(value)) tensorsIn(element, found, seen)
  }
}

function newScope(options: ScopeOptions): Scope {
  return new Scope(currentFrame().scope, options.name ?? null)
}

/** Runs `fn` and frees the tensors made in it, except those in its result. For plain functions only. */
export function scope<T>(
  fn: () => T extends PromiseLike<unknown> ? never : T,
  options: ScopeOptions = {},
): T {
  const own = newScope(options)
  let result: unknown
  try {
    result = within({ scope: own }, fn)
    if (typeof (result as PromiseLike<unknown> | null)?.then === 'function') {
      // The work goes on without a scope; its tensors must not vanish under it.
      own.release()
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        'scope() got an async function: its tensors would be freed before it is done. Use `await scopeAsync(...)`.',
      )
    }
    return result as T
  } finally {
    own.end(result)
  }
}

/**
 * Runs an async `fn` and frees the tensors made in it, also after an await, except those in its result. Where
 * the queue of ops is more than half full it resolves when the executor has caught up.
 */
export async function scopeAsync<T>(
  fn: () => T | PromiseLike<T>,
  options: ScopeOptions = {},
): Promise<T> {
  const own = newScope(options)
  let result: T | undefined
  try {
    result = await within({ scope: own }, fn)
    return result
  } finally {
    const used = own.made > 0
    own.end(result)
    if (used) await addon().native.catchUp()
  }
}

/** The scopes around the caller, the innermost first. */
export function scopesHere(): ScopeMemory[] {
  const found: ScopeMemory[] = []
  for (let here = currentFrame().scope; here !== null; here = here.outer) found.push(here.memory())
  return found
}
