/**
 * Arguments as plain values: each list, options object and number of the caller is read once, so that getters
 * and proxies cannot change what was checked, and what is no value of the schema's type is refused.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { dtypeNumber } from './dtype.js'
import { mostElements } from './memo.js'
import { type Argument, Kind, type Operator } from './operator.js'
import { Generator } from './random.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import { Tensor } from './tensor.js'

function lengthOf(list: readonly unknown[]): number {
  const length: unknown = list.length
  if (typeof length === 'number' && length <= mostElements) return length
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `a list of arguments is longer than ${mostElements}`,
  )
}

function copied<T>(list: readonly unknown[], copy: (value: unknown) => T): T[] {
  return Array.from({ length: lengthOf(list) }, (_, i) => copy(list[i]))
}

/** A copy of the arguments that nothing outside can change. */
export function plainArguments(args: readonly unknown[]): unknown[] {
  return copied(args, plainValue)
}

function plainValue(value: unknown): unknown {
  return Array.isArray(value) ? copied(value, plainElement) : plainElement(value)
}

function plainElement(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Tensor) return value
  if (value instanceof TypedScalar) {
    return new TypedScalar(Number(value.value), value.integer === true)
  }
  if (value instanceof Generator) return value
  const { re, im } = value as { re?: unknown; im?: unknown }
  return typeof re === 'number' && typeof im === 'number' ? { re, im } : value
}

/** Own entries of an options object. */
export function plainOptions(options: object): Map<string, unknown> {
  const names = Object.keys(options)
  const entries = options as Readonly<Record<string, unknown>>
  return new Map(names.map((name) => [name, plainValue(entries[name])]))
}

function wrong(op: Operator, index: number, wanted: string, got: unknown): LandmarkDiffusionError {
  const shown = Tensor.isTensor(got)
    ? got.toString()
    : typeof got === 'object'
      ? 'an object'
      : String(got)
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${op.name}: argument '${op.arguments[index]?.name}' wants ${wanted}, got ${shown.slice(0, 80)}. Schema: ${op.text}`,
  )
}

/** The remedy for `x.view(2, 3)`, numbers that PyTorch takes for a list; empty where that is not what is wrong. */
export function spreadList(ops: readonly Operator[], args: readonly unknown[]): string {
  const first = args.findLastIndex((value) => typeof value !== 'number') + 1
  const numbers = args.slice(first)
  const list = ops.some(({ arguments: wanted }) => /int\[\d*\]/i.test(wanted[first]?.type ?? ''))
  return list && numbers.length > 0 ? `; a list is an array: [${numbers.join(', ')}]` : ''
}

/** Throws ERR_SCHEMA where a plain value is not what the schema wants. */
export function checkArguments(op: Operator, args: readonly unknown[]): void {
  if (args.length > op.arguments.length) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${op.name} takes ${op.arguments.length} arguments, got ${args.length}${spreadList([op], args)}. Schema: ${op.text}`,
    )
  }
  let elements = 0
  op.arguments.forEach((argument, i) => {
    const value = args[i]
    if (Array.isArray(value)) elements += value.length
    if (elements > mostElements)
      throw wrong(op, i, `at most ${mostElements} elements in all`, elements)
    if (value === undefined && !argument.hasDefault && !argument.optional) {
      throw wrong(op, i, argument.type, 'nothing')
    }
    if (value === undefined || (value === null && argument.optional)) return
    const wanted = unmet(argument, value)
    if (wanted !== null) throw wrong(op, i, wanted, value)
  })
}

/** What the argument wants and the value is not; null where all is well, or libtorch's conversion is to tell. */
function unmet({ kind }: Argument, value: unknown): string | null {
  switch (kind) {
    case Kind.Tensor:
    case Kind.Storage:
      return Tensor.isTensor(value) ? null : 'a Tensor'
    case Kind.TensorList:
    case Kind.OptionalTensorList: {
      if (!Array.isArray(value)) return 'an array of Tensors'
      const optional = kind === Kind.OptionalTensorList
      const right = (element: unknown) => Tensor.isTensor(element) || (optional && element === null)
      return value.every(right) ? null : 'Tensors only'
    }
    case Kind.Scalar:
      return isScalar(value) ? null : 'a number'
    case Kind.Float:
      return typeof value === 'number' ? null : 'a number'
    case Kind.VaryingInt:
      return Number.isSafeInteger(value) ? null : 'a whole number'
    case Kind.Generator:
      return value instanceof Generator ? null : 'a Generator'
    case Kind.DType:
      dtypeNumber(value)
      return null
    default:
      return null
  }
}

export function isScalar(value: unknown): boolean {
  return (
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    typeof value === 'bigint' ||
    value instanceof TypedScalar ||
    isComplexNumber(value)
  )
}
