/**
 * From the names in generated/ to functions and methods: overloads are resolved here, as PyTorch's argument
 * parser does it. Nothing is looked up before the first call, so that importing costs no libtorch.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { call, invoke, type Named } from './call.js'
import { Kind, type Operator, operator } from './operator.js'
import { Generator } from './random.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import { Tensor } from './tensor.js'

/** One overload, and its variant that writes into `out`. */
interface Overload {
  readonly op: Operator
  readonly out: Operator | undefined
}

/** A function's overloads in the order in which they are tried. */
class Overloads {
  #list: readonly Overload[] | undefined

  constructor(
    readonly base: string,
    /** `Tensor>out Scalar>Scalar_out`: overload names, each with its out= variant; `.` is the nameless one. */
    readonly names: string,
  ) {}

  get list(): readonly Overload[] {
    this.#list ??= this.names.split(' ').map((pair) => {
      const [plain, out] = pair.split('>') as [string, string | undefined]
      return {
        op: this.#operator(plain),
        out: out === undefined ? undefined : this.#operator(out),
      }
    })
    return this.#list
  }

  #operator(overload: string): Operator {
    return operator(overload === '.' ? `aten::${this.base}` : `aten::${this.base}.${overload}`)
  }
}

function isOptions(value: unknown): value is Named {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  if (value instanceof Tensor || value instanceof Generator || value instanceof TypedScalar) {
    return false
  }
  return !isComplexNumber(value)
}

function isScalar(value: unknown): boolean {
  return (
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    typeof value === 'bigint' ||
    value instanceof TypedScalar ||
    isComplexNumber(value)
  )
}

/**
 * Whether a value may stand for the argument: enough to tell overloads apart. An optional argument without
 * a default must be written where `strict`, as PyTorch's parser wants it.
 */
function fits(op: Operator, index: number, value: unknown, strict: boolean): boolean {
  const argument = op.arguments[index]
  if (argument === undefined) return false
  if (value === undefined) return argument.hasDefault || (argument.optional && !strict)
  if (value === null) return argument.optional
  switch (argument.kind) {
    case Kind.Tensor:
      return value instanceof Tensor
    case Kind.TensorList:
    case Kind.OptionalTensorList:
      return Array.isArray(value) && (value.length === 0 || value.some((e) => e instanceof Tensor))
    case Kind.Scalar:
      return isScalar(value)
    case Kind.Float:
      return typeof value === 'number' || value instanceof TypedScalar
    case Kind.VaryingInt:
      return Number.isInteger(value)
    case Kind.Generator:
      return value instanceof Generator
    case Kind.DType:
      return typeof value === 'string'
    default:
      return fitsConstant(argument, value)
  }
}

function fitsConstant({ type, size }: Operator['arguments'][number], value: unknown): boolean {
  if (/\[\]\??$/.test(type)) {
    const list = Array.isArray(value) && !value.some((element) => element instanceof Tensor)
    return list || (size !== null && Number.isInteger(value))
  }
  if (/^(SymInt|int)\??$/.test(type)) return Number.isInteger(value) || typeof value === 'bigint'
  if (type.startsWith('bool')) return typeof value === 'boolean'
  if (type.startsWith('Scalar')) return isScalar(value)
  return typeof value === 'string'
}

function accepts(op: Operator, args: readonly unknown[], named: Named, strict: boolean): boolean {
  if (args.length > op.arguments.length) return false
  for (let i = 0; i < op.arguments.length; i++) {
    const argument = op.arguments[i] as Operator['arguments'][number]
    if (i < args.length && argument.keywordOnly) return false
    const value = i < args.length ? args[i] : named[argument.name]
    if (!fits(op, i, value, strict)) return false
  }
  return Object.keys(named).every((name) => op.byName.has(name))
}

function resolve(overloads: Overloads, args: readonly unknown[], named: Named): Overload {
  const [only, ...others] = overloads.list
  if (only !== undefined && others.length === 0) return only
  for (const strict of [true, false]) {
    const found = overloads.list.find(({ op }) => accepts(op, args, named, strict))
    if (found !== undefined) return found
  }
  throw noOverload(overloads, args, named)
}

function run(overloads: Overloads, args: readonly unknown[]): unknown {
  const last = args.at(-1)
  if (!isOptions(last)) return invoke(resolve(overloads, args, {}).op, args)
  const positional = args.slice(0, -1)
  const { out, ...named } = last
  const found = resolve(overloads, positional, named)
  if (out === undefined) return invoke(found.op, positional, named)
  if (found.out === undefined) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', `${found.op.name} has no variant with 'out'`)
  }
  return invoke(found.out, positional, { ...named, ...outputs(found.out, out) })
}

/** `out: tensor`, or `out: [values, indices]`, under the names of the schema. */
function outputs(op: Operator, out: unknown): Named {
  const names = op.arguments.filter(({ written }) => written).map(({ name }) => name)
  const tensors = names.length === 1 ? [out] : out
  if (!Array.isArray(tensors) || tensors.length !== names.length) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${op.name}: 'out' wants an array of ${names.length} tensors: [${names.join(', ')}]`,
    )
  }
  return Object.fromEntries(names.map((name, i) => [name, tensors[i]]))
}

function noOverload(
  { base, list }: Overloads,
  args: readonly unknown[],
  named: Named,
): LandmarkDiffusionError {
  const given = [
    ...args.map(typeName),
    ...Object.entries(named).map(([name, value]) => `${name}: ${typeName(value)}`),
  ]
  const schemas = list.map(({ op }) => `  ${op.text}`).join('\n')
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${base}(${given.join(', ')}) fits none of the overloads:\n${schemas}`,
  )
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (value instanceof Tensor) return 'Tensor'
  return Array.isArray(value) ? `array of ${value.length}` : typeof value
}

/** A function over the overloads `names` of `aten::base`. */
export function bind<F extends object>(base: string, names: string): F {
  const overloads = new Overloads(base, names)
  const bound = (...args: unknown[]) => run(overloads, args)
  return bound as unknown as F
}

/** The same for operators that make a tensor, whose options have `requiresGrad` besides. */
export function bindFactory<F extends object>(base: string, names: string): F {
  const overloads = new Overloads(base, names)
  const bound = (...args: unknown[]) => {
    const last = args.at(-1)
    if (!isOptions(last) || last.requiresGrad === undefined) return run(overloads, args)
    const { requiresGrad, ...named } = last
    const made = run(overloads, [...args.slice(0, -1), named])
    return requiresGrad === true ? call('aten::requires_grad_', [made]) : made
  }
  return bound as unknown as F
}

/** Installs functions as methods: `this` becomes the first argument. */
export function defineMethods(
  methods: Readonly<Record<string, (...args: never[]) => unknown>>,
): void {
  for (const [name, bound] of Object.entries(methods)) {
    const run = bound as (...args: unknown[]) => unknown
    Object.defineProperty(Tensor.prototype, name, {
      value(this: Tensor, ...args: unknown[]) {
        return run(this, ...args)
      },
      writable: true,
      configurable: true,
    })
  }
}
