/** What goes into a program and comes out of it: tensors, and what is between them, taken apart and put together. */
import { LandmarkDiffusionError } from '../errors.js'
import { mostElements } from './memo.js'
import { Generator } from './random.js'
import { noPromise } from './recording.js'
import { intern, type Signature } from './signature.js'
import { Tensor } from './tensor.js'

export interface Arguments {
  /** Equal for calls that the same recording serves, apart from gradients. */
  readonly key: string
  /** Each once. */
  readonly tensors: Tensor[]
  readonly generators: Generator[]
}

/** Takes the arguments of a call apart. */
export function flatten(args: readonly unknown[]): Arguments {
  const tensors: Tensor[] = []
  const generators: Generator[] = []
  return { key: keyOf(args, tensors, generators, 0), tensors, generators }
}

/** Deeper than any sensible argument; an object that contains itself ends here. */
const deepest = 32

function keyOf(value: unknown, tensors: Tensor[], generators: Generator[], depth: number): string {
  if (value instanceof Tensor) {
    const known = tensors.indexOf(value)
    if (known >= 0) return `=${known}`
    tensors.push(value)
    return `t${value.signature.id}`
  }
  if (value instanceof Generator) {
    const known = generators.indexOf(value)
    if (known < 0) generators.push(value)
    return `g${known < 0 ? generators.length - 1 : known}`
  }
  if (depth > deepest) throw noArgument('an object nested too deeply, or inside of itself')
  if (Array.isArray(value)) {
    if (value.length > mostElements) throw noArgument(`an array of ${value.length} elements`)
    return `[${value.map((element) => keyOf(element, tensors, generators, depth + 1)).join()}]`
  }
  if (isPlain(value)) {
    const fields = Object.entries(value).map(
      ([name, field]) => `${JSON.stringify(name)}:${keyOf(field, tensors, generators, depth + 1)}`,
    )
    return `{${fields.join()}}`
  }
  return constantKey(value)
}

function constantKey(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'bigint':
      return `${value}n`
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'boolean':
    case 'undefined':
      return String(value)
    default:
      if (value === null) return 'null'
      throw noArgument(typeof value === 'function' ? 'a function' : `a ${value?.constructor.name}`)
  }
}

function noArgument(what: string): LandmarkDiffusionError {
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `a program takes tensors, generators, numbers, texts and booleans, in arrays and plain objects, not ${what}. ` +
      'Let the function refer to it instead of taking it as an argument.',
  )
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Stands for a tensor in the shape of a result. */
class Place {
  constructor(readonly index: number) {}
}

/** What a program's function returned: its tensors, and the rest with places for them. */
export interface Results {
  readonly shape: unknown
  readonly outputs: Tensor[]
}

/** Takes a result apart. @throws ERR_PROGRAM for a promise. */
export function outputsOf(result: unknown): Results {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function') {
    // Nobody else waits for what it may have failed of.
    ;(result as Promise<unknown>).then(undefined, () => undefined)
    throw noPromise()
  }
  const outputs: Tensor[] = []
  const place = (value: unknown, depth: number): unknown => {
    if (value instanceof Tensor) {
      const known = outputs.indexOf(value)
      if (known < 0) outputs.push(value)
      return new Place(known < 0 ? outputs.length - 1 : known)
    }
    if (depth > deepest) throw noArgument('an object nested too deeply, or inside of itself')
    if (Array.isArray(value)) {
      if (value.length > mostElements) throw noArgument(`an array of ${value.length} elements`)
      return value.map((element) => place(element, depth + 1))
    }
    if (!isPlain(value)) return value
    return mapFields(value, (field) => place(field, depth + 1))
  }
  return { shape: place(result, 0), outputs }
}

/** The result of a call: its shape with `tensors` in their places. */
export function fill(shape: unknown, tensors: readonly Tensor[]): unknown {
  if (shape instanceof Place) return tensors[shape.index]
  if (Array.isArray(shape)) return shape.map((element) => fill(element, tensors))
  return isPlain(shape) ? mapFields(shape, (field) => fill(field, tensors)) : shape
}

function mapFields(
  object: Record<string, unknown>,
  of: (field: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, field]) => [name, of(field)]))
}

/** The signature of a result: that of `tensor`, detached. */
export function withoutHistory({ signature }: Tensor): Signature {
  const { dtypeNumber: dtype, ...rest } = signature
  return intern({ ...rest, dtype, defined: true, requiresGrad: false, isLeaf: true })
}
