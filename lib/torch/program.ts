/**
 * Programs: a function runs once while the operators that it queues are recorded, down to the backward pass and
 * the optimiser; every further call replays them natively (docs/programs.md).
 */
import { LandmarkDiffusionError } from '../errors.js'
import { addon, scratchUse } from './addon.js'
import { currentFrame } from './context.js'
import { takeId } from './handles.js'
import type { Native, NativeProgramStats, Opaque } from './native.js'
import {
  type Arguments,
  fill,
  match,
  outputsOf,
  type Pattern,
  type Results,
  takeApart,
  textOf,
  withoutHistory,
} from './program-arguments.js'
import { recordLeaves, refuseInProgram } from './recording.js'
import { scope } from './scope.js'
import { gradientSignature, type Signature } from './signature.js'
import { gradientsVersion, setGradientKind, Tensor } from './tensor.js'
import { linesOf, ProgramTraces } from './trace.js'

export interface ProgramOptions {
  /** Switches of passes over the recorded operators, by name: `programPasses()` lists them. */
  passes?: Readonly<Record<string, boolean>>
  /** Recordings kept, for different signatures of the arguments; the one not used for longest goes. Default 8. */
  recordings?: number
  /** Replays that may wait in the queue, with the arguments that they keep alive; a further call waits. Default 5. */
  ahead?: number
}

export interface ProgramCalls {
  /** Calls that ran the function and were recorded. */
  readonly recorded: number
  readonly replayed: number
  /** Calls that ran the function, as the recording that they need was not finished. */
  readonly plain: number
}

/** Of the recording that was used last, and of all calls. */
export interface ProgramStats extends NativeProgramStats, ProgramCalls {
  /** Recordings kept now. */
  readonly recordings: number
}

/** A function whose calls are replayed. */
export interface Program<A extends readonly unknown[], R> {
  /** Resolves when the call is queued; the values of the results come later, as of any tensor. */
  (...args: A): Promise<R>
  /** What was recorded, one line an operator. */
  toString(): string
  readonly calls: ProgramCalls
  /** Whether the last recording is a graph of the device, and if not why; null before there is one. */
  readonly graph: string | null
  /** Of the last recording: its size, memory and time. @throws ERR_PROGRAM before there is one */
  stats(): ProgramStats
  /**
   * Leaves out the calls that are queued and have not begun: what they were to give rejects with ERR_ABORTED when it
   * is read. A call that records, or runs the function as it is, cannot be left out.
   */
  cancel(): void
  /** Frees the recordings; what the last calls returned stays. */
  dispose(): void
  [Symbol.dispose](): void
}

const defaultAhead = 5
/** A call that waits does so for the one that came so many before it reached `ahead`. */
const margin = 3
const defaultRecordings = 8

/** Passes over recorded operators, and whether each is on by default. */
export function programPasses(): Record<string, boolean> {
  return addon().native.programPasses()
}

/**
 * Records `fn` at its first call, and again for every new signature of its arguments (shapes, strides, dtypes,
 * devices, requiresGrad, and the values of numbers, texts and booleans); replays it otherwise. Arguments and
 * results are tensors, generators and plain values, in arrays and plain objects. What else `fn` refers to is
 * captured: tensors by reference, all other values as they are at the recording.
 *
 * `fn` is synchronous and awaits nothing. Results carry no history for gradients.
 *
 * @throws ERR_PROGRAM from a call, where `fn` does what cannot be replayed; ERR_OP where libtorch refuses an
 * operator, then or in a replay.
 */
export function program<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: ProgramOptions = {},
): Program<A, R> {
  checkOptions(fn, options)
  const cache = new Recordings(fn as (...args: readonly unknown[]) => unknown, options)
  const call = (...args: A) => cache.call(args) as Promise<R>
  const methods = {
    toString: () => cache.toString(),
    stats: () => cache.stats(),
    cancel: () => cache.cancel(),
    dispose: () => cache.dispose(),
    [Symbol.dispose]: () => cache.dispose(),
  }
  return Object.defineProperties(Object.assign(call, methods), {
    calls: { get: () => cache.calls },
    graph: { get: () => cache.graph },
  }) as Program<A, R>
}

function checkOptions(fn: unknown, { passes = {}, ...counts }: ProgramOptions): void {
  const fail = (message: string) =>
    new LandmarkDiffusionError('ERR_SCHEMA', `program(): ${message}`)
  if (typeof fn !== 'function') throw fail('wants a function')
  for (const name of ['recordings', 'ahead'] as const) {
    const count = counts[name] ?? 1
    if (Number.isSafeInteger(count) && count >= 1) continue
    throw fail(`${name} is a whole number of at least 1, not ${String(count)}`)
  }
  for (const name of Object.keys(passes)) {
    const known = programPasses()
    if (!Object.hasOwn(known, name)) {
      throw fail(`there is no pass '${name}'; there are ${Object.keys(known).join(', ')}`)
    }
  }
}

/** A leaf that the function uses: the tensor, or a place among the arguments. */
type Leaf = Tensor | number

/** What a recording holds of the gradient of a leaf. */
interface LeafState {
  readonly leaf: Leaf
  /** Whether there must be one when it is replayed. */
  readonly before: boolean
  /** What it leaves; undefined where that is as before. */
  readonly after: Signature | null | undefined
}

interface Recording {
  readonly program: Opaque
  readonly traces: ProgramTraces
  readonly results: readonly Signature[]
  readonly shape: unknown
  readonly leaves: readonly LeafState[]
  /** Those whose gradients it makes or clears; each call goes through them. */
  readonly changed: readonly (LeafState & { readonly after: Signature | null })[]
  /** The version of gradients for which its leaves were last looked at, and the answer. */
  version: number
  fits: boolean
}

/** What is known of one signature of the arguments: recordings for different states of the gradients. */
interface Entry {
  /** As of the frame in which it was called. */
  readonly mode: number
  readonly pattern: Pattern
  recordings: Recording[]
  /** The function runs, or its recording is being finished. */
  pending: boolean
}

class Recordings {
  readonly #fn: (...args: readonly unknown[]) => unknown
  readonly #passes: Readonly<Record<string, boolean>>
  readonly #most: number
  readonly #ahead: number
  /** In the order of their last use. */
  #entries: Entry[] = []
  #last: Recording | null = null
  #recorded = 0
  #replayed = 0
  #plain = 0
  #disposed = false
  #fence: Promise<void> | null = null
  /** Of all recordings; there is one with the first. */
  #calls: Opaque | null = null

  constructor(
    fn: (...args: readonly unknown[]) => unknown,
    { passes = {}, recordings = defaultRecordings, ahead = defaultAhead }: ProgramOptions,
  ) {
    this.#fn = fn
    this.#passes = passes
    this.#most = recordings
    this.#ahead = ahead
  }

  // Not an async function: an error of the function must come before whatever is queued after the call.
  call(args: readonly unknown[]): Promise<unknown> {
    try {
      if (this.#disposed)
        throw new LandmarkDiffusionError('ERR_DISPOSED', 'the program is disposed')
      refuseInProgram('A program was called', 'Call the function that it was made of instead.')
      const { entry, given } = this.#find(args)
      for (const recording of entry.recordings) {
        if (fits(recording, given.tensors)) return this.#replay(recording, given)
      }
      return entry.pending
        ? Promise.resolve(this.#runPlain(args))
        : this.#record(entry, args, given)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The entry of these arguments, which is the last one from now on. */
  #find(args: readonly unknown[]): { entry: Entry; given: Arguments } {
    const { mode } = currentFrame()
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i] as Entry
      const given = entry.mode === mode ? match(entry.pattern, args) : null
      if (given === null) continue
      if (i < this.#entries.length - 1) this.#entries.push(...this.#entries.splice(i, 1))
      return { entry, given }
    }
    const { pattern, given } = takeApart(args)
    const entry = { mode, pattern, recordings: [], pending: false }
    this.#entries.push(entry)
    return { entry, given }
  }

  #replay(recording: Recording, { tensors, generators }: Arguments): Promise<unknown> {
    const { native, words } = addon()
    scratchUse.count++
    let at = 0
    for (const tensor of tensors) words[at++] = tensor.id
    for (const generator of generators) words[at++] = generator.id
    const results: Tensor[] = []
    for (const signature of recording.results) {
      const id = takeId()
      words[at++] = id
      results.push(new Tensor(id, signature))
    }
    const { program, changed } = recording
    const queued = native.replay(program, tensors.length, generators.length, results.length)
    for (const { leaf, after } of changed) setGradientKind(tensorOf(leaf, tensors), after)
    this.#last = recording
    this.#replayed++
    const result = fill(recording.shape, results)
    return queued > this.#ahead - margin
      ? this.#heldBack(queued).then(() => result)
      : Promise.resolve(result)
  }

  /** Waits where much is queued, but not until nothing is: the executor should never wait for JavaScript. */
  async #heldBack(queued: number): Promise<void> {
    this.#fence ??= addon()
      .native.fence()
      .then(() => {
        this.#fence = null
      })
    if (queued > this.#ahead) await this.#fence
  }

  /** Runs the function as it is: its recording is not ready, and nothing may overtake this call. */
  #runPlain(args: readonly unknown[]): unknown {
    this.#plain++
    return scope(() => {
      const { shape, outputs } = outputsOf(this.#fn(...args))
      return fill(
        shape,
        outputs.map((output) => output.detach()),
      ) as never
    })
  }

  #record(entry: Entry, args: readonly unknown[], given: Arguments): Promise<unknown> {
    const { native } = addon()
    const traces = new ProgramTraces()
    native.beginProgram(
      given.tensors.map((tensor) => tensor.id),
      given.generators.map((generator) => generator.id),
    )
    let ended: Ended | undefined
    try {
      // The ids that the function leaves are freed behind the end of the recording.
      scope(() => {
        let results: Results | undefined
        let used = new Set<Tensor>()
        traces.collect(() => {
          used = recordLeaves(() => {
            results = outputsOf(this.#fn(...args))
          })
        })
        const { shape, outputs } = results as Results
        const signatures = outputs.map(withoutHistory)
        const ids = outputs.map((output) => output.id)
        const names = outputs.map(() => takeId())
        const leaves = [...used].filter(({ disposed }) => !disposed)
        const places = leaves.map((leaf) => leaf.id)
        this.#calls ??= native.openCalls()
        const program = native.endProgram(ids, names, this.#passes, places, this.#calls)
        ended = { program, shape, signatures, names, leaves }
      })
    } catch (error) {
      if (ended === undefined) native.abandonProgram()
      traces.release()
      this.#dropEmpty()
      throw error
    }
    const { program, shape, signatures, names, leaves } = ended as unknown as Ended
    const results = names.map((id, i) => new Tensor(id, signatures[i] as Signature))
    entry.pending = true
    return program
      .then(
        ({ program, before, after }) => {
          traces.keepOnly(native.programTraces(program))
          const states = leaves.flatMap((leaf, i) =>
            leaf.disposed ? [] : stateOf(leaf, given.tensors, before[i], after[i]),
          )
          const known = { program, traces, shape, results: signatures, leaves: states }
          this.#keep(entry, { ...known, changed: states.filter(changes), version: -1, fits: false })
        },
        (error: unknown) => {
          traces.release()
          throw error
        },
      )
      .finally(() => {
        entry.pending = false
        this.#dropEmpty()
      })
      .then(() => fill(shape, results))
  }

  #keep(entry: Entry, recording: Recording): void {
    if (this.#disposed) {
      free(recording)
      return
    }
    entry.recordings.push(recording)
    this.#last = recording
    this.#recorded++
    let surplus = this.#count() - this.#most
    for (const { recordings } of this.#entries) {
      const old = recordings === entry.recordings ? recordings.length - 1 : recordings.length
      for (const one of recordings.splice(0, Math.min(surplus, old))) {
        free(one)
        surplus--
      }
    }
    this.#dropEmpty()
  }

  /** Forgets entries whose recordings failed, or have been freed. */
  #dropEmpty(): void {
    const isUsed = ({ recordings, pending }: Entry) => recordings.length > 0 || pending
    this.#entries = this.#entries.filter(isUsed)
  }

  #count(): number {
    return this.#entries.reduce((count, { recordings }) => count + recordings.length, 0)
  }

  get calls(): ProgramCalls {
    return { recorded: this.#recorded, replayed: this.#replayed, plain: this.#plain }
  }

  get graph(): string | null {
    return this.#last && addon().native.programStats(this.#last.program).graph
  }

  stats(): ProgramStats {
    if (this.#last === null) {
      throw new LandmarkDiffusionError(
        'ERR_PROGRAM',
        'stats(): the program has not been recorded yet',
      )
    }
    return {
      ...addon().native.programStats(this.#last.program),
      ...this.calls,
      recordings: this.#count(),
    }
  }

  toString(): string {
    const { native } = addon()
    const texts: string[] = []
    for (const { pattern, recordings } of this.#entries) {
      for (const { program } of recordings) {
        const lines = linesOf(native.programTraces(program))
        texts.push(`# ${textOf(pattern)}\n${native.programText(program, lines)}`)
      }
    }
    return texts.length > 0 ? texts.join('\n') : '# not recorded yet\n'
  }

  cancel(): void {
    if (this.#calls) addon().native.cancelCalls(this.#calls)
  }

  dispose(): void {
    this.#disposed = true
    this.#last = null
    for (const { recordings } of this.#entries) for (const one of recordings) free(one)
    this.#entries = []
  }
}

/** A recording on its way. */
interface Ended {
  readonly program: ReturnType<Native['endProgram']>
  readonly shape: unknown
  readonly signatures: Signature[]
  readonly names: number[]
  readonly leaves: readonly Tensor[]
}

function free({ program, traces }: Recording): void {
  addon().native.disposeProgram(program)
  traces.release()
}

function changes(state: LeafState): state is LeafState & { readonly after: Signature | null } {
  return state.after !== undefined
}

function tensorOf(leaf: Leaf, tensors: readonly Tensor[]): Tensor {
  return typeof leaf === 'number' ? (tensors[leaf] as Tensor) : leaf
}

/** Of a leaf that the function did not make itself: those are gone. */
function stateOf(
  tensor: Tensor,
  tensors: readonly Tensor[],
  before = false,
  after = false,
): LeafState {
  const place = tensors.indexOf(tensor)
  const left = after ? gradientOf(tensor) : null
  return {
    leaf: place >= 0 ? place : tensor,
    before,
    after: before === after ? undefined : left,
  }
}

function gradientOf(tensor: Tensor): Signature {
  return tensor.gradientKind?.signature ?? gradientSignature(tensor.signature, 'contract', false)
}

/** Whether each leaf has a gradient now where it had one at the recording, and none where it had none. */
function fits(recording: Recording, tensors: readonly Tensor[]): boolean {
  const { leaves } = recording
  if (recording.version === gradientsVersion()) return recording.fits
  const given = leaves.map(({ leaf }) => tensorOf(leaf, tensors))
  askFor(given.filter((tensor) => !tensor.disposed && !tensor.gradientIsSure))
  recording.fits = leaves.every(
    ({ before }, i) => ((given[i] as Tensor).gradientKind !== null) === before,
  )
  const own = leaves.some(({ leaf }) => typeof leaf === 'number')
  recording.version = own ? -1 : gradientsVersion()
  return recording.fits
}

/** Finds out which have a gradient: a pass outside of programs may have reached them, the executor knows. */
function askFor(unsure: readonly Tensor[]): void {
  if (unsure.length === 0) return
  const found = addon().native.hasGradients(unsure.map((tensor) => tensor.id))
  for (const [i, tensor] of unsure.entries()) {
    setGradientKind(tensor, found[i] ? gradientOf(tensor) : null)
  }
}
