/**
 * What is known of calls made before: a tree per operator, in which the arguments' constants and the tensors'
 * signatures lead from the root to a leaf, with the call site and the results' signatures. Values that change
 * from call to call (tensors, numbers) are handed over on the way and are no part of it.
 */
import { addon } from './addon.js'
import { scratch, slots } from './native.js'
import { Kind, type Operator } from './operator.js'
import { Generator } from './random.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import type { Signature } from './signature.js'
import type { SliceShapes } from './slices.js'
import { Tensor } from './tensor.js'
import { Node } from './tree.js'

/** What an op makes of a tensor that it writes to: the argument, or an element of a list. */
export interface Change {
  readonly argument: number
  readonly element: number
  readonly signature: Signature
}

/** What is known of one result: of a tensor, of a list of tensors, or that there is none. */
export type Known = Signature | readonly Signature[] | null

/** One call site and what it gives for inputs of known signatures. */
export interface Leaf {
  readonly op: Operator
  readonly site: number
  /** The one new tensor that it makes, where that is all. */
  readonly single: Signature | null
  /** The argument that is the one result, as it is; else -1. */
  readonly itself: number
  /** undefined where results must be asked for each time. */
  readonly results: readonly Known[] | undefined
  /** Arguments that change their signature, as t_() and an out= that grows; null where none does. */
  readonly changes: readonly Change[] | null
  /** The results come as a promise. */
  readonly dynamic: boolean
  /** Where the shape depends on numbers that vary. */
  readonly slices: SliceShapes | null
}

/** Longest list of tensors or constants in one call. */
export const mostElements = 1 << 18
/** More arguments than any schema has. */
const mostArguments = 64
/** Ids and numbers that the last walk wrote for the addon. */
export const written = { inputs: 0, numbers: 0 }

/** Where a path ends that was not walked before. */
const nowhere = new Node<Leaf>()
let growing = false

function step(node: Node<Leaf>, key: unknown): Node<Leaf> {
  const next = node.find(key)
  if (next !== undefined) return next
  return growing ? node.grow(key) : nowhere
}

/** A step by a constant: numbers that a Map takes for one, but libtorch does not, go different ways. */
function stepConstant(node: Node<Leaf>, value: unknown): Node<Leaf> {
  if (typeof value !== 'object' || value === null) {
    return step(node, value === 0 && Object.is(value, -0) ? '-0' : value)
  }
  if (value instanceof TypedScalar) {
    return stepConstant(step(node, value.integer ? 'int' : 'double'), value.value)
  }
  if (isComplexNumber(value)) {
    return stepConstant(stepConstant(step(node, 'complex'), value.re), value.im)
  }
  return nowhere
}

/**
 * Follows the first `count` of `args` through the operator's tree and writes tensor ids and numbers for the
 * addon. Gives a node without a leaf for what is not known, be it new or wrong.
 */
export function walk(
  op: Operator,
  args: readonly unknown[],
  count: number,
  mode: number,
): Node<Leaf> {
  const { words, numbers } = addon()
  const list = op.arguments
  let inputs = scratch.ids
  let values = 0
  let node = step(op.root, mode)
  for (let i = 0; i < count; i++) {
    const argument = list[i] as (typeof list)[number]
    const value = args[i]
    if (value === undefined || value === null) {
      if (argument.kind === Kind.Tensor) words[inputs++] = 0
      node = step(node, value)
      continue
    }
    switch (argument.kind) {
      case Kind.Tensor:
      case Kind.Storage: {
        if (!(value instanceof Tensor)) return nowhere
        words[inputs++] = value.id
        node = step(node, value.signature.id)
        break
      }
      case Kind.TensorList:
      case Kind.OptionalTensorList: {
        if (!Array.isArray(value)) return nowhere
        const length = value.length
        if (!(inputs + length <= mostElements + mostArguments)) return nowhere
        node = step(node, length)
        for (let k = 0; k < length; k++) {
          const element: unknown = value[k]
          if (element instanceof Tensor) {
            words[inputs++] = element.id
            node = step(node, element.signature.id)
          } else if (element === null && argument.kind === Kind.OptionalTensorList) {
            words[inputs++] = 0
            node = step(node, null)
          } else {
            return nowhere
          }
        }
        break
      }
      case Kind.Scalar: {
        if (typeof value === 'number') {
          numbers[values++] = value
          node = step(node, Number.isSafeInteger(value) ? slots.int : slots.double)
        } else if (value instanceof TypedScalar) {
          numbers[values++] = value.value
          node = step(node, value.integer ? slots.int : slots.double)
        } else {
          node = stepConstant(node, value)
        }
        break
      }
      case Kind.Float: {
        if (typeof value !== 'number') return nowhere
        numbers[values++] = value
        node = step(node, slots.double)
        break
      }
      case Kind.VaryingInt: {
        if (!Number.isSafeInteger(value)) return nowhere
        numbers[values++] = value as number
        node = step(node, slots.int)
        break
      }
      case Kind.Generator: {
        if (!(value instanceof Generator)) return nowhere
        words[inputs++] = value.id
        node = step(node, slots.generator)
        break
      }
      default: {
        if (Array.isArray(value)) {
          const length = value.length
          if (!(length <= mostElements)) return nowhere
          node = step(node, length)
          for (let k = 0; k < length; k++) node = stepConstant(node, value[k])
        } else {
          node = stepConstant(node, value)
        }
      }
    }
  }
  for (let i = count; i <= op.lastTensor; i++) {
    if (list[i]?.kind === Kind.Tensor) words[inputs++] = 0
  }
  written.inputs = inputs - scratch.ids
  written.numbers = values
  return node
}

/** Plants a leaf for a call, whose arguments are known to be right and plain. */
export function plant(op: Operator, args: readonly unknown[], mode: number, leaf: Leaf): void {
  growing = true
  try {
    const node = walk(op, args, args.length, mode)
    if (node !== nowhere) node.value = leaf
  } finally {
    growing = false
  }
}
