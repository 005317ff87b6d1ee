/** From schema names to the functions and methods of generated/functions.ts: overloads are resolved here. */
import { LandmarkDiffusionError } from '../errors.js'
import { invoke, type Named } from './call.js'
import { Kind, type Operator, operator } from './operator.js'
import { Generator } from './random.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import { Tensor } from './tensor.js'

/**
 * Parameters after the required ones: any number of the optional `P` in order, then `O`, an object with
 * the rest by name.
 */
export type Tail<P extends readonly unknown[], O> = P extends readonly [infer A, ...infer R]
  ? [] | [O] | [A, ...Tail<R, O>]
  : [] | [O]

function isOptions(value: unknown): value is Named {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  if (value instanceof Tensor || value instanceof Generator || value instanceof TypedScalar) {
    return false
  }
  return !isComplexNumber(value)
}

/** Whether a value may stand for the argument: enough to tell overloads apart. */
function fits(op: Operator, index: number, value: unknown): boolean {
  const argument = op.arguments[index]
  if (argument === undefined) return false
  if (value === undefined) return argument.hasDefault || argument.optional
  if (value === null) return argument.optional
  switch (argument.kind) {
    case Kind.Tensor:
      return value instanceof Tensor
    case Kind.TensorList:
    case Kind.OptionalTensorList:
      return Array.isArray(value) && (value.length === 0 || value.some((e) => e instanceof Tensor))
    case Kind.Scalar:
      return !(value instanceof Tensor) && typeof value !== 'string' && !Array.isArray(value)
    case Kind.Float:
    case Kind.VaryingInt:
      return typeof value === 'number'
    case Kind.Generator:
      return value instanceof Generator
    case Kind.DType:
      return typeof value === 'string'
    default:
      return fitsConstant(argument.type, value)
  }
}

function fitsConstant(type: string, value: unknown): boolean {
  if (value instanceof Tensor) return false
  if (/\[\]\??$/.test(type)) return Array.isArray(value) || typeof value === 'number'
  if (/^(SymInt|int)\??$/.test(type)) return typeof value === 'number' || typeof value === 'bigint'
  if (type.startsWith('bool')) return typeof value === 'boolean'
  if (type.startsWith('Scalar')) return typeof value !== 'string' && !Array.isArray(value)
  return typeof value === 'string'
}

function accepts(op: Operator, args: readonly unknown[], named: Named | undefined): boolean {
  for (let i = 0; i < op.arguments.length; i++) {
    const argument = op.arguments[i] as Operator['arguments'][number]
    const value = i < args.length ? args[i] : named?.[argument.name]
    if (i < args.length && argument.keywordOnly) return false
    if (!fits(op, i, value)) return false
  }
  if (args.length > op.arguments.length) return false
  return named === undefined || Object.keys(named).every((name) => op.byName.has(name))
}

/** A function over the overloads `names`, tried in their order. */
export function bind<F>(...names: readonly [string, ...string[]]): F {
  const [only] = names
  const run =
    names.length === 1
      ? (...args: unknown[]) => {
          const last = args.at(-1)
          if (isOptions(last)) return invoke(operator(only), args.slice(0, -1), last)
          return invoke(operator(only), args)
        }
      : (...args: unknown[]) => {
          const last = args.at(-1)
          const named = isOptions(last) ? last : undefined
          const positional = named === undefined ? args : args.slice(0, -1)
          for (const name of names) {
            const op = operator(name)
            if (accepts(op, positional, named)) return invoke(op, positional, named)
          }
          throw noOverload(names)
        }
  return run as F
}

function noOverload(names: readonly string[]): LandmarkDiffusionError {
  const schemas = names.map((name) => `  ${operator(name).text}`).join('\n')
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `the arguments fit none of the overloads:\n${schemas}`,
  )
}

/** Installs functions as methods: `this` becomes the first argument. */
export function defineMethods(functions: Readonly<Record<string, unknown>>): void {
  for (const [name, run] of Object.entries(functions)) {
    Object.defineProperty(Tensor.prototype, name, {
      value(this: Tensor, ...args: unknown[]) {
        return (run as (...all: unknown[]) => unknown)(this, ...args)
      },
      writable: true,
      configurable: true,
    })
  }
}
