/**
 * Finding leaks: while it is on, each tensor remembers where it was made, and one that the garbage collector
 * takes though nobody freed it is reported. It only reports; nothing is freed by it.
 */
import type { Tensor } from './tensor.js'

/** A tensor that was made while leaks were looked for, and has not been freed. */
export interface LiveTensor {
  readonly shape: readonly number[]
  readonly dtype: string
  readonly device: string
  /** Stack of the call that made it. */
  readonly stack: string
  /** Nothing in the program refers to it any more: its memory can never be freed. */
  readonly lost: boolean
}

const ownFolder = new URL('.', import.meta.url).href

export let watchingLeaks = process.env.LANDMARK_DIFFUSION_LEAKS === '1'

interface Watched {
  shape: readonly number[]
  dtype: string
  device: string
  stack: string
  lost: boolean
}

const live = new Set<Watched>()
const watchedOf = new WeakMap<Tensor, Watched>()
/** Stacks of which a loss was reported: a loop that leaks is one finding. */
const reported = new Set<string>()

const registry = new FinalizationRegistry<Watched>((watched) => {
  watched.lost = true
  if (reported.has(watched.stack)) return
  reported.add(watched.stack)
  process.emitWarning(
    `a tensor (${watched.dtype}[${watched.shape.join(', ')}], ${watched.device}) was never freed: dispose() it, ` +
      `hold it with \`using\`, or make it in a scope. It was made here:\n${watched.stack}`,
    'TensorLeakWarning',
  )
})

/**
 * Turns the search for leaks on or off, from the tensors made next; about 10 us each. Also
 * `LANDMARK_DIFFUSION_LEAKS=1`. Each place whose tensors were lost is reported once, as a warning of the
 * process with the name `TensorLeakWarning`; `liveTensors()` lists what is alive.
 */
export function debugLeaks(on: boolean): void {
  watchingLeaks = on
  if (on) return
  for (const watched of live) registry.unregister(watched)
  live.clear()
  reported.clear()
}

/** Tensors made since `debugLeaks(true)` and not freed, oldest first. */
export function liveTensors(): LiveTensor[] {
  return Array.from(live, (watched) => ({ ...watched }))
}

/** The current stack from the call into this package on. */
function callerStack(): string {
  const usual = Error.stackTraceLimit
  Error.stackTraceLimit = 30
  const lines = new Error('made').stack?.split('\n').slice(1) ?? []
  Error.stackTraceLimit = usual
  const own = lines.findLastIndex((line) => line.includes(ownFolder))
  return lines.slice(own + 1).join('\n')
}

/** @internal Notes a new tensor. */
export function watch(tensor: Tensor): void {
  const { shape, dtype, device } = tensor.signature
  const stack = callerStack()
  const watched = { shape, dtype, device, stack, lost: false }
  live.add(watched)
  watchedOf.set(tensor, watched)
  registry.register(tensor, watched, watched)
}

/** @internal Forgets a tensor that is freed. */
export function unwatch(tensor: Tensor): void {
  const watched = watchedOf.get(tensor)
  if (watched === undefined) return
  live.delete(watched)
  registry.unregister(watched)
}
