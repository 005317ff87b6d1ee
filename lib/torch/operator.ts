/** Operators of the linked libtorch by their schema names, prepared for calls from JavaScript. */
import { closest, distance } from 'fastest-levenshtein'
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import type { Leaf } from './memo.js'
import { varyingIntegers } from './slices.js'
import { Node, onForget } from './tree.js'

/** How an argument is checked and handed over. */
export enum Kind {
  Tensor,
  TensorList,
  OptionalTensorList,
  /** A number of either kind, sent with each call; never part of the memo's key. */
  Scalar,
  Float,
  /** An integer that changes from call to call (a slice's start): sent, and the shape reckoned by slices.ts. */
  VaryingInt,
  Generator,
  /** The memory of a tensor. */
  Storage,
  DType,
  /** Anything else is part of the call site. */
  Constant,
}

export interface Argument {
  /** camelCase, as JavaScript writes it. */
  readonly name: string
  readonly kind: Kind
  readonly type: string
  readonly optional: boolean
  readonly hasDefault: boolean
  readonly keywordOnly: boolean
  /** `int[2]`: 2; a single number may then stand for the list. */
  readonly size: number | null
  /** The operator writes into it (in place, out=). */
  readonly written: boolean
}

export interface Operator {
  readonly name: string
  readonly text: string
  readonly dynamic: boolean
  readonly arguments: readonly Argument[]
  readonly returns: readonly { readonly type: string; readonly argument: number }[]
  readonly byName: ReadonlyMap<string, number>
  /** Position of the last argument that is a tensor, -1 without any. */
  readonly lastTensor: number
  /** Its calls made before: see memo.ts. */
  root: Node<Leaf>
  sites: number[]
}

/** Their scalars decide the shape. */
const sizedByScalars = /^aten::(arange|range)\b/

const operators = new Map<string, Operator>()
let names: readonly string[] | undefined

/** Qualified names, with overloads, of all operators of the linked libtorch. */
export function ops(): readonly string[] {
  names ??= addon().native.operators()
  return names
}

export function camelCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function kindOf(operator: string, name: string, type: string): Kind {
  if (varyingIntegers[operator]?.includes(name)) return Kind.VaryingInt
  switch (type.replace(/\?$/, '')) {
    case 'Tensor':
      return Kind.Tensor
    case 'Tensor[]':
    // Four for each layer and direction: see native/dispatch/cells.h.
    case '__torch__.torch.classes.rnn.CellParamsBase[]':
      return Kind.TensorList
    case 'Tensor?[]':
      return Kind.OptionalTensorList
    case 'Scalar':
      return sizedByScalars.test(operator) ? Kind.Constant : Kind.Scalar
    case 'float':
      return Kind.Float
    case 'Generator':
      return Kind.Generator
    case 'Storage':
      return Kind.Storage
    case 'ScalarType':
      return Kind.DType
    default:
      return Kind.Constant
  }
}

/** The operator of a schema name such as `aten::add.Tensor`. Throws ERR_SCHEMA with the nearest names. */
export function operator(name: string): Operator {
  const known = operators.get(name)
  if (known !== undefined) return known
  const schema = typeof name === 'string' ? addon().native.schema(name) : null
  if (schema === null) throw noSuchOperator(name)
  const list: Argument[] = schema.arguments.map((argument) => ({
    name: camelCase(argument.name),
    kind: kindOf(schema.name, argument.name, argument.type),
    type: argument.type,
    optional: argument.type.endsWith('?'),
    hasDefault: argument.hasDefault,
    keywordOnly: argument.keywordOnly,
    size: argument.size,
    written: argument.written,
  }))
  const byName = new Map(list.map((argument, index) => [argument.name, index]))
  schema.arguments.forEach((argument, index) => {
    byName.set(argument.name, index)
  })
  const made: Operator = {
    name: schema.name,
    text: schema.text,
    dynamic: schema.dynamic,
    arguments: list,
    returns: schema.returns,
    byName,
    lastTensor: list.findLastIndex((argument) => argument.kind === Kind.Tensor),
    root: new Node(),
    sites: [],
  }
  operators.set(name, made)
  return made
}

// Ops that are queued keep their sites until they have run.
onForget(() => {
  const { native } = addon()
  for (const op of operators.values()) {
    for (const site of op.sites) native.releaseSite(site)
    op.sites = []
    op.root = new Node()
  }
})

function noSuchOperator(name: unknown): LandmarkDiffusionError {
  const wanted = String(name)
  const base = wanted.split('.', 1)[0] as string
  const overloads = ops().filter((op) => op.split('.', 1)[0] === base)
  const near =
    overloads.length > 0
      ? overloads
      : [...ops()].sort((a, b) => distance(a, wanted) - distance(b, wanted)).slice(0, 3)
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `there is no operator '${wanted}' in this libtorch; the nearest are ${near.slice(0, 12).join(', ')}`,
  )
}

export function noSuchArgument(op: Operator, name: string): LandmarkDiffusionError {
  const known = op.arguments.map((argument) => argument.name)
  const hint = known.length > 0 ? `; did you mean '${closest(name, known)}'?` : ''
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${op.name} has no argument '${name}'${hint} Schema: ${op.text}`,
  )
}
