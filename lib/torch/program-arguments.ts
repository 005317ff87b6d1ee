/** What goes into a program and comes out of it: tensors, and what is between them, taken apart and put together. */
import { LandmarkDiffusionError } from '../errors.js'
import { mostElements } from './memo.js'
import { Generator } from './random.js'
import { noPromise } from './recording.js'
import { intern, type Signature } from './signature.js'
import { Tensor } from './tensor.js'

/** The tensors and generators of a call, each once. */
export interface Arguments {
  readonly tensors: Tensor[]
  readonly generators: Generator[]
}

/** What a recording fixes of the arguments: all but which tensors and generators of their kind they are. */
export type Pattern =
  | { readonly kind: 'tensor'; readonly place: number; readonly signature: Signature }
  | { readonly kind: 'generator'; readonly place: number }
  | { readonly kind: 'list'; readonly elements: readonly Pattern[] }
  | {
      readonly kind: 'object'
      readonly names: readonly string[]
      readonly fields: readonly Pattern[]
    }
  | { readonly kind: 'value'; readonly value: unknown }

/** Deeper than any sensible argument; an object that contains itself ends here. */
const deepest = 32

/** Takes the arguments of a call apart. @throws ERR_SCHEMA for what a program does not take */
export function takeApart(args: readonly unknown[]): { pattern: Pattern; given: Arguments } {
  const given = { tensors: [], generators: [] }
  return { pattern: describe(args, given, 0), given }
}

function describe(value: unknown, given: Arguments, depth: number): Pattern {
  if (value instanceof Tensor) {
    return { kind: 'tensor', place: placeOf(value, given.tensors), signature: value.signature }
  }
  if (value instanceof Generator) {
    return { kind: 'generator', place: placeOf(value, given.generators) }
  }
  if (depth > deepest) throw noArgument('an object nested too deeply, or inside of itself')
  const inside = (element: unknown) => describe(element, given, depth + 1)
  if (Array.isArray(value)) {
    if (value.length > mostElements) throw noArgument(`an array of ${value.length} elements`)
    return { kind: 'list', elements: Array.from(value, inside) }
  }
  if (isPlain(value)) {
    return { kind: 'object', names: Object.keys(value), fields: Object.values(value).map(inside) }
  }
  if (typeof value === 'function') throw noArgument('a function')
  if (typeof value === 'symbol') throw noArgument('a Symbol')
  if (typeof value === 'object' && value !== null) throw noArgument(`a ${value.constructor.name}`)
  return { kind: 'value', value }
}

/** The tensors and generators of a call with this pattern; null where the call has another one. */
export function match(pattern: Pattern, args: readonly unknown[]): Arguments | null {
  const given = { tensors: [], generators: [] }
  return fits(pattern, args, given) ? given : null
}

// Each call of a program comes here, so it makes nothing but the two lists.
function fits(pattern: Pattern, value: unknown, given: Arguments): boolean {
  switch (pattern.kind) {
    case 'tensor':
      return (
        value instanceof Tensor &&
        value.signature.id === pattern.signature.id &&
        placeOf(value, given.tensors) === pattern.place
      )
    case 'generator':
      return value instanceof Generator && placeOf(value, given.generators) === pattern.place
    case 'list': {
      const { elements } = pattern
      if (!Array.isArray(value) || value.length !== elements.length) return false
      for (let i = 0; i < elements.length; i++) {
        if (!fits(elements[i] as Pattern, value[i], given)) return false
      }
      return true
    }
    case 'object': {
      if (!isPlain(value)) return false
      const { names, fields } = pattern
      let at = 0
      for (const name in value) {
        if (!Object.hasOwn(value, name)) continue
        if (names[at] !== name || !fits(fields[at] as Pattern, value[name], given)) return false
        at++
      }
      return at === names.length
    }
    case 'value':
      return Object.is(value, pattern.value)
  }
}

/** Where `value` stands in the list, to whose end it goes if it is new. */
function placeOf<T>(value: T, list: T[]): number {
  const known = list.indexOf(value)
  return known >= 0 ? known : list.push(value) - 1
}

/** For people to read. */
export function textOf(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'tensor': {
      const { dtype, shape, requiresGrad } = pattern.signature
      return `${dtype}[${shape.join(', ')}]${requiresGrad ? ' requiresGrad' : ''}`
    }
    case 'generator':
      return 'Generator'
    case 'list':
      return `[${pattern.elements.map(textOf).join(', ')}]`
    case 'object':
      return `{ ${pattern.names.map((name, i) => `${name}: ${textOf(pattern.fields[i] as Pattern)}`).join(', ')} }`
    case 'value':
      return typeof pattern.value === 'string'
        ? JSON.stringify(pattern.value)
        : String(pattern.value)
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
