/**
 * JavaScript functions that the executor calls in the middle of a backward pass (native/runtime/callback.h):
 * the registry that keeps them while a graph can call them, and how one is run.
 */
import { AsyncResource } from 'node:async_hooks'
import { LandmarkDiffusionError } from '../../errors.js'
import { addon, onCallback } from '../addon.js'
import { within } from '../context.js'
import { enterLevel, leaveLevel, takeId } from '../handles.js'
import { type CallbackEnd, modeFlags, type TensorInfo } from '../native.js'
import { scope } from '../scope.js'
import { intern } from '../signature.js'
import { insidePass, Tensor } from '../tensor.js'
import { causeId } from '../trace.js'

export interface Callback {
  /** Runs it; tensors that are absent come and go as null. */
  run(
    tensors: readonly (Tensor | null)[],
    flags: readonly boolean[],
  ): readonly (Tensor | null | undefined)[]
  /** Called when no graph can call it any more. */
  release?(): void
}

interface Registered {
  readonly callback: Callback
  /** The async context in which it was registered: it runs in that one, whoever is at work. */
  readonly context: AsyncResource
}

const registered = new Map<number, Registered>()
let next = 1

/** Keeps the callback until the graph that it is given to is gone; its number for the addon. */
export function register(callback: Callback): number {
  const id = next++
  const context = new AsyncResource('landmark-diffusion.callback', { requireManualDestroy: true })
  registered.set(id, { callback, context })
  return id
}

/** Functions that a graph may still call. */
export function liveCallbacks(): number {
  return registered.size
}

function run(
  id: number,
  key: number,
  infos: readonly TensorInfo[],
  flags: readonly boolean[],
  grad: boolean,
  pass: number,
): CallbackEnd {
  let failed: { message: string; cause: number } | undefined
  enterLevel()
  try {
    const { callback, context } = registered.get(id) as Registered
    const body = () => {
      const { native } = addon()
      const ids = infos.map((info) => (info.defined ? takeId() : 0))
      native.adopt(key, ids)
      const tensors = infos.map((info, i) =>
        info.defined ? new Tensor(ids[i] as number, intern(info)) : null,
      )
      const results = callback.run(tensors, flags)
      native.reply(results.map((result) => result?.id ?? 0))
    }
    const mode = grad ? modeFlags.grad : 0
    insidePass(pass, () => context.runInAsyncScope(() => within({ mode }, () => scope(body))))
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    failed = { message: `a function that it called threw ${message}`, cause: causeId(error) }
  }
  return { ...failed, frees: leaveLevel() }
}

function release(ids: readonly number[]): void {
  for (const id of ids) {
    const callback = registered.get(id)?.callback
    registered.delete(id)
    callback?.release?.()
  }
}

onCallback({ run, release })

/** A result that must be there at once: promises are refused, as the pass cannot wait for them. */
export function refusePromise(what: string, result: unknown): void {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== 'function') return
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${what} returned a promise: the backward pass is in the middle of it and cannot wait. Make the function synchronous; it may queue operations, but await nothing.`,
  )
}
