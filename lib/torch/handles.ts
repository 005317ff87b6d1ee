/**
 * Handles: the integer ids by which JavaScript names what lives on the executor. Frees are queued behind
 * the ops that use an id, so it may be given out again at once.
 *
 * A callback's ops overtake those that lie behind the backward pass which it belongs to (callback.h). An
 * id whose free lies there is still in use, so a callback takes ids from a pool of its own; and what it
 * frees of its surroundings is freed after it, behind the ops that were queued before.
 */
import { addon, scratchUse } from './addon.js'

/** The ids of one ring. */
interface Level {
  free: number[]
  /** Ids that were in `free` when the level was entered. */
  own: Set<number>
  /** Ids from here on were first given out inside. */
  from: number
  /** Ids of the surroundings, to be freed after it. */
  later: number[]
}

const level = (): Level => ({ free: [], own: new Set(), from: 0, later: [] })
const levels = [level()]
let depth = 0
let { free } = levels[0] as Level
let next = 1
let live = 0

export function takeId(): number {
  live++
  return free.pop() ?? next++
}

export function freeIds(ids: readonly number[]): void {
  const { native, words } = addon()
  scratchUse.count++
  const now = depth === 0 ? ids : ownOf(ids)
  for (let from = 0; from < now.length; from += words.length) {
    const some = now.slice(from, from + words.length)
    words.set(some)
    native.free(some.length)
  }
  recycle(now)
}

function recycle(ids: readonly number[]): void {
  for (const id of ids) free.push(id)
  live -= ids.length
}

/** Those taken in this callback; the others are put off. */
function ownOf(ids: readonly number[]): number[] {
  const { own, from, later } = levels[depth] as Level
  return ids.filter((id) => {
    const mine = id >= from || own.has(id)
    if (!mine) later.push(id)
    return mine
  })
}

/** A callback begins: its ops go to a ring of their own. */
export function enterLevel(): void {
  depth++
  const inner = levels[depth] ?? level()
  levels[depth] = inner
  inner.from = next
  free = inner.free
}

/** The callback ends. The ids that it leaves to be freed, in the ring around it. */
export function leaveLevel(): readonly number[] {
  const inner = levels[depth] as Level
  // What lives on belongs to the surroundings from now on.
  if (inner.own.size !== inner.free.length) inner.own = new Set(inner.free)
  const { later } = inner
  inner.later = []
  depth--
  free = (levels[depth] as Level).free
  const now = depth === 0 ? later : ownOf(later)
  recycle(now)
  return now
}

/** Handles given out and not freed. */
export function liveHandles(): number {
  return live
}
