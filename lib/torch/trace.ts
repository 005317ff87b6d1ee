/**
 * Failed ops become errors here. With tracing on, each op remembers the JavaScript stack of its call, and
 * an error that arrives later, at an await, shows where the op was written.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { onFailure } from './addon.js'

/** Enough for several training steps; older ops have long run. */
const most = 1 << 15

const stacks = new Map<number, string>()
let tracing = process.env.LANDMARK_DIFFUSION_TRACE === '1'
let next = 1

/** Turns the recording of call stacks on or off (about 5 us an op). Also `LANDMARK_DIFFUSION_TRACE=1`. */
export function setTracing(on: boolean): void {
  tracing = on
}

/** Key of the current stack, 0 while tracing is off. */
export function traceId(): number {
  if (!tracing) return 0
  const id = next++
  stacks.set(id, new Error('op').stack?.split('\n').slice(2).join('\n') ?? '')
  stacks.delete(id - most)
  return id
}

/** An op that libtorch refused or that failed while it ran. */
export class OpError extends LandmarkDiffusionError {
  /** Qualified name, such as `aten::conv2d`. */
  readonly op: string
  /** dtypes and shapes of its tensor inputs. */
  readonly inputs: string

  constructor(code: 'ERR_OP' | 'ERR_OUT_OF_MEMORY', op: string, inputs: string, message: string) {
    super(code, message)
    this.name = 'OpError'
    this.op = op
    this.inputs = inputs
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

onFailure((kind, op, inputs, message, trace, cause) => {
  const failed = `${op}(${inputs}): ${message.trim()}`
  const error =
    kind === 'memory'
      ? new OpError(
          'ERR_OUT_OF_MEMORY',
          op,
          inputs,
          `${failed}. Try a smaller batch or image, fewer attention levels, or dispose tensors earlier.`,
        )
      : new OpError('ERR_OP', op, inputs, failed)
  const stack = stacks.get(trace)
  if (causes.has(cause)) error.cause = causes.get(cause)
  if (stack) error.stack = `${error.name}: ${error.message}\n    the op was called:\n${stack}`
  return error
})
