/**
 * Handles: the integer ids by which JavaScript names what lives on the executor. Frees are queued behind
 * the ops that use an id, so it may be given out again at once.
 */
import { addon, scratchUse } from './addon.js'

const free: number[] = []
let next = 1
let live = 0

export function takeId(): number {
  live++
  return free.pop() ?? next++
}

export function freeIds(ids: readonly number[]): void {
  const { native, words } = addon()
  scratchUse.count++
  for (let from = 0; from < ids.length; from += words.length) {
    const some = ids.slice(from, from + words.length)
    words.set(some)
    native.free(some.length)
  }
  for (const id of ids) free.push(id)
  live -= ids.length
}

/** Handles given out and not freed. */
export function liveHandles(): number {
  return live
}
