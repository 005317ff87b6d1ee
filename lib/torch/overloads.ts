/**
 * Which overload a call means, decided as PyTorch's argument parser does it: overloads are tried in order, and
 * the first whose types fit is taken. Only the kinds of the arguments count, so that an answer is remembered by
 * them.
 */
import { closest } from 'fastest-levenshtein'
import { LandmarkDiffusionError } from '../errors.js'
import { type Argument, Kind, type Operator, operator } from './operator.js'
import { spreadList } from './plain.js'
import { Generator } from './random.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import { Tensor } from './tensor.js'
import { Node, onForget } from './tree.js'

/** One overload, and its variant that writes into `out`. */
export interface Overload {
  readonly op: Operator
  readonly out: Operator | undefined
}

/** What an argument is, as far as overloads can tell. */
enum Code {
  Undefined,
  Null,
  Tensor,
  Integer,
  Float,
  Boolean,
  Text,
  List,
  Tensors,
  EmptyList,
  Generator,
  TypedScalar,
  BigInt,
  Complex,
  Other,
}

function codeOf(value: unknown): Code {
  switch (typeof value) {
    case 'undefined':
      return Code.Undefined
    case 'number':
      return Number.isInteger(value) ? Code.Integer : Code.Float
    case 'boolean':
      return Code.Boolean
    case 'string':
      return Code.Text
    case 'bigint':
      return Code.BigInt
    case 'object':
      return value === null ? Code.Null : codeOfObject(value)
    default:
      return Code.Other
  }
}

function codeOfObject(value: object): Code {
  if (value instanceof Tensor) return Code.Tensor
  if (Array.isArray(value)) return codeOfList(value)
  if (value instanceof Generator) return Code.Generator
  if (value instanceof TypedScalar) return Code.TypedScalar
  return isComplexNumber(value) ? Code.Complex : Code.Other
}

/** An optional tensor may stand first as null. */
function codeOfList(list: readonly unknown[]): Code {
  const { length } = list
  if (length === 0) return Code.EmptyList
  for (let i = 0; i < length; i++) {
    const element = list[i]
    if (element === null) continue
    return element instanceof Tensor ? Code.Tensors : Code.List
  }
  return Code.Tensors
}

const scalars = new Set([
  Code.Integer,
  Code.Float,
  Code.Boolean,
  Code.BigInt,
  Code.TypedScalar,
  Code.Complex,
])

/**
 * Whether a value may stand for the argument: enough to tell overloads apart. An optional argument without
 * a default must be written where `strict`, as PyTorch's parser wants it.
 */
function fits(argument: Argument, code: Code, strict: boolean): boolean {
  if (code === Code.Undefined) return argument.hasDefault || (argument.optional && !strict)
  if (code === Code.Null) return argument.optional
  switch (argument.kind) {
    case Kind.Tensor:
    case Kind.Storage:
      return code === Code.Tensor
    case Kind.TensorList:
    case Kind.OptionalTensorList:
      return code === Code.Tensors || code === Code.EmptyList
    case Kind.Scalar:
      return scalars.has(code)
    case Kind.Float:
      return code === Code.Integer || code === Code.Float
    case Kind.VaryingInt:
      return code === Code.Integer
    case Kind.Generator:
      return code === Code.Generator
    case Kind.DType:
      return code === Code.Text
    default:
      return fitsConstant(argument, code)
  }
}

function fitsConstant({ type, size }: Argument, code: Code): boolean {
  if (/\[\]\??$/.test(type)) {
    return code === Code.List || code === Code.EmptyList || (size !== null && code === Code.Integer)
  }
  if (/^(SymInt|int)\??$/.test(type)) return code === Code.Integer || code === Code.BigInt
  if (type.startsWith('bool')) return code === Code.Boolean
  if (type.startsWith('Scalar')) return scalars.has(code)
  return code === Code.Text
}

const none: ReadonlyMap<string, unknown> = new Map()
const remembered = new Set<Overloads>()
onForget(() => {
  for (const overloads of remembered) overloads.forget()
  remembered.clear()
})

/** The overloads of one function. */
export class Overloads {
  readonly base: string
  /** Makes a tensor: its options have `requiresGrad`. */
  readonly factory: boolean
  readonly #names: string
  #list: readonly Overload[] | undefined
  /** The operator, where there is but one. */
  #only: Operator | undefined
  #root = new Node<Overload>()

  /**
   * `names` are `Tensor>out Scalar>Scalar_out`: overload names in the order in which they are tried, each with
   * its out= variant; `.` is the nameless one.
   */
  constructor(base: string, names: string, kind: 'operator' | 'factory') {
    this.base = base
    this.#names = names
    this.factory = kind === 'factory'
  }

  get list(): readonly Overload[] {
    if (this.#list === undefined) {
      this.#list = this.#names.split(' ').map((pair) => {
        const [plain, out] = pair.split('>') as [string, string | undefined]
        return {
          op: this.#operator(plain),
          out: out === undefined ? undefined : this.#operator(out),
        }
      })
      if (this.#list.length === 1) this.#only = this.#list[0]?.op
    }
    return this.#list
  }

  #operator(overload: string): Operator {
    return operator(overload === '.' ? `aten::${this.base}` : `aten::${this.base}.${overload}`)
  }

  /** The operator for the first `count` of `args` and the options, where such a call was resolved before. */
  find(args: readonly unknown[], count: number, named: object | null): Operator | undefined {
    if (this.#only !== undefined) return this.#only
    let node: Node<Overload> | undefined = this.#root
    for (let i = 0; i < count; i++) {
      node = node.find(codeOf(args[i]))
      if (node === undefined) return undefined
    }
    if (named !== null) {
      for (const name in named) {
        node = node.find(name)?.find(codeOf((named as Record<string, unknown>)[name]))
        if (node === undefined) return undefined
      }
    }
    return node.value?.op
  }

  /** The overload for plain arguments. Throws ERR_SCHEMA where none fits. */
  resolve(args: readonly unknown[], named: ReadonlyMap<string, unknown> = none): Overload {
    const [only, ...others] = this.list
    if (only !== undefined && others.length === 0) return only
    const count = args.findLastIndex((value) => value !== undefined) + 1
    const codes = args.slice(0, count).map(codeOf)
    const options = new Map([...named].map(([name, value]) => [name, codeOf(value)]))
    for (const strict of [true, false]) {
      const found = this.list.find(({ op }) => accepts(op, codes, options, strict))
      if (found === undefined) continue
      this.#remember(codes, options, found)
      return found
    }
    throw this.#refusal(args, named)
  }

  #remember(codes: readonly Code[], options: ReadonlyMap<string, Code>, found: Overload): void {
    let node = this.#root
    for (const key of [...codes, ...[...options].flat()]) node = node.find(key) ?? node.grow(key)
    node.value = found
    remembered.add(this)
  }

  forget(): void {
    this.#root = new Node()
  }

  #refusal(args: readonly unknown[], named: ReadonlyMap<string, unknown>): LandmarkDiffusionError {
    const given = [
      ...args.map(typeName),
      ...Array.from(named, ([name, value]) => `${name}: ${typeName(value)}`),
    ]
    const unknown = [...named.keys()].find(
      (name) => !this.list.some(({ op }) => op.byName.has(name)),
    )
    if (unknown !== undefined) {
      const names = [...new Set(this.list.flatMap(({ op }) => [...op.byName.keys()]))]
      return new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `${this.base} has no argument '${unknown}'; did you mean '${closest(unknown, names)}'? It takes ${names.join(', ')}.`,
      )
    }
    const schemas = this.list.map(({ op }) => `  ${op.text}`).join('\n')
    return new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${this.base}(${given.join(', ')}) fits none of the overloads${spreadList(
        this.list.map(({ op }) => op),
        args,
      )}:\n${schemas}`,
    )
  }
}

function accepts(
  op: Operator,
  codes: readonly Code[],
  options: ReadonlyMap<string, Code>,
  strict: boolean,
): boolean {
  if (codes.length > op.arguments.length) return false
  for (const name of options.keys()) {
    if (!op.byName.has(name)) return false
  }
  return op.arguments.every((argument, i) => {
    if (i < codes.length && argument.keywordOnly) return false
    const code = i < codes.length ? codes[i] : options.get(argument.name)
    return fits(argument, code ?? Code.Undefined, strict)
  })
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (value instanceof Tensor) return 'Tensor'
  return Array.isArray(value) ? `array of ${value.length}` : typeof value
}
