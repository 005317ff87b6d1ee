/**
 * Failed ops become errors here. With tracing on, each op remembers the JavaScript stack of its call, and
 * an error that arrives later, at an await, shows where the op was written.
 */
import { fileURLToPath } from 'node:url'
import { LandmarkDiffusionError } from '../errors.js'
import { onFailure } from './addon.js'
import type { MakeError } from './native.js'
import { adviceOutOfMemory, type OutOfMemory, readOutOfMemory } from './out-of-memory.js'

/** Enough for several training steps; older ops have long run. */
const most = 1 << 15

const stacks = new Map<number, Error>()
/** Stacks of the calls that programs were made of. */
const recorded = new Map<number, Error>()
let recording = false
let tracing = process.env.LANDMARK_DIFFUSION_TRACE === '1'
let next = 1

/** Turns the recording of call stacks on or off (about 5 us an op). Also `LANDMARK_DIFFUSION_TRACE=1`. */
export function setTracing(on: boolean): void {
  tracing = on
}

/** Key of the current stack, 0 while tracing is off. */
export function traceId(): number {
  if (!tracing && !recording) return 0
  const id = next++
  // V8 keeps the frames, and makes text of them where it is asked for.
  const stack = new Error('op')
  if (recording) {
    recorded.set(id, stack)
  } else {
    stacks.set(id, stack)
    stacks.delete(id - most)
  }
  return id
}

/** The stacks of the calls of one program, for its errors and for printing it. */
export class ProgramTraces {
  #ids: readonly number[] = []

  /** Runs `fn` with tracing on, and keeps the stacks of its calls. */
  collect(fn: () => void): void {
    const first = next
    recording = true
    try {
      fn()
    } finally {
      recording = false
      this.#ids = Array.from({ length: next - first }, (_, i) => first + i)
    }
  }

  /** Lets go of the stacks that none of `ids` names. */
  keepOnly(ids: readonly number[]): void {
    const wanted = new Set(ids)
    for (const id of this.#ids) if (!wanted.has(id)) recorded.delete(id)
    this.#ids = [...wanted]
  }

  release(): void {
    for (const id of this.#ids) recorded.delete(id)
    this.#ids = []
  }
}

/** Where the calls of a program were written, `file:line:column` each; empty where that is not known. */
export function linesOf(ids: readonly number[]): string[] {
  const known = new Map<number, string>()
  return ids.map((id) => {
    const stack = recorded.get(id)
    const line = known.get(id) ?? (stack === undefined ? '' : callerLine(stack))
    known.set(id, line)
    return line
  })
}

const ownFolder = new URL('.', import.meta.url)
/** As compiled, and as source maps tell it. */
const ownPlaces = [ownFolder.href, fileURLToPath(ownFolder)].flatMap((place) => [
  place,
  place.replace(/dist\/torch\/$/, 'lib/torch/'),
])

function frames(error: Error): string[] {
  return (error.stack ?? '').split('\n').slice(1)
}

/** The first line of a stack outside of this folder, as `file:line:column`; empty where there is none. */
export function callerLine(error: Error): string {
  const frame = frames(error).find((line) => !ownPlaces.some((place) => line.includes(place)))
  const place = /\(?((?:file:\/\/)?\/[^()]*:\d+:\d+)\)?$/.exec(frame ?? '')?.[1] ?? ''
  return place.startsWith('file://') ? place.slice('file://'.length) : place
}

/** An op that libtorch refused or that failed while it ran. */
export class OpError extends LandmarkDiffusionError {
  /** Qualified name, such as `aten::conv2d`. */
  readonly op: string
  /** dtypes and shapes of its tensor inputs. */
  readonly inputs: string

  /** What was wanted and what was free, where memory was what failed. */
  readonly outOfMemory: OutOfMemory | undefined

  constructor(
    code: 'ERR_OP' | 'ERR_OUT_OF_MEMORY' | 'ERR_DEVICE',
    { op, inputs, message }: { op: string; inputs: string; message: string },
    outOfMemory?: OutOfMemory,
  ) {
    super(code, message)
    this.name = 'OpError'
    this.op = op
    this.inputs = inputs
    this.outOfMemory = outOfMemory
  }
}

/** Errors that callbacks threw, until the failure that they cause is told. */
const causes = new Map<number, unknown>()
const mostCauses = 256
let nextCause = 1

/** Key of an error that a callback threw. */
export function causeId(error: unknown): number {
  const id = nextCause++
  causes.set(id, error)
  causes.delete(id - mostCauses)
  return id
}

function programMessage(message: string, trace: number): string {
  const stack = recorded.get(trace) ?? stacks.get(trace)
  const line = stack === undefined ? '' : callerLine(stack)
  return line === '' ? message.trim() : `${message.trim()} (${line})`
}

function failed(
  kind: Exclude<Parameters<MakeError>[0], 'distributed' | 'cancelled'>,
  op: string,
  inputs: string,
  reason: string,
) {
  const message = `${op}(${inputs}): ${reason.trim()}`
  switch (kind) {
    case 'memory': {
      const lack = readOutOfMemory(reason)
      const advised = `${message}. ${adviceOutOfMemory(lack)}`
      return new OpError('ERR_OUT_OF_MEMORY', { op, inputs, message: advised }, lack)
    }
    case 'device': {
      const advised = `${message}. The GPU failed, and what it held is lost: no more can be computed on it in this process. Start again; \`nvidia-smi\` and \`dmesg\` tell more.`
      return new OpError('ERR_DEVICE', { op, inputs, message: advised })
    }
    case 'op':
      return new OpError('ERR_OP', { op, inputs, message })
  }
}

onFailure((kind, op, inputs, message, trace, cause) => {
  if (kind === 'cancelled') return new LandmarkDiffusionError('ERR_ABORTED', message)
  if (op === 'program')
    return new LandmarkDiffusionError('ERR_PROGRAM', programMessage(message, trace))
  if (kind === 'distributed') return new LandmarkDiffusionError('ERR_DISTRIBUTED', message.trim())
  const error = failed(kind, op, inputs, message)
  const traced = stacks.get(trace) ?? recorded.get(trace)
  const stack = traced && frames(traced).slice(1).join('\n')
  if (causes.has(cause)) error.cause = causes.get(cause)
  if (stack) error.stack = `${error.name}: ${error.message}\n    the op was called:\n${stack}`
  return error
})
