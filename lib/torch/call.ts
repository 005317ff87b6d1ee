/**
 * One call of one operator: its arguments become a path through the operator's memo. A known path ends at
 * a call site and the results' signatures: the op is queued and its tensors are returned at once. An
 * unknown path is run and waited for, once.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { addon, writeHead } from './addon.js'
import { currentFrame } from './context.js'
import { dtypeName, dtypeNumber } from './dtype.js'
import { takeId } from './handles.js'
import { type NativeOutcome, scratch, slots } from './native.js'
import {
  type Argument,
  type Change,
  Kind,
  type Leaf,
  Node,
  noSuchArgument,
  type Operator,
  operator,
} from './operator.js'
import { Generator } from './random.js'
import { refuseCrash } from './refusals.js'
import { isComplexNumber, TypedScalar } from './scalar.js'
import { intern, register } from './signature.js'
import { Tensor } from './tensor.js'
import { traceId } from './trace.js'

/** Signatures remembered per operator before its memo starts anew. */
const mostLeaves = 4096
/** Longest list of tensors in one call. */
const mostInputs = 1 << 18

/** Arguments by name, for those after the positional ones. */
export type Named = Readonly<Record<string, unknown>>

/**
 * Any operator by its schema name: `call('aten::add.Tensor', [x, y], { alpha: 2 })`.
 *
 * Arguments stand in the schema's order or, after the list, under their names (`memory_format` or
 * `memoryFormat`). Gives what the schema returns: a Tensor, Tensor[], number, boolean, null, or an array
 * of them; a promise of it where shapes or results depend on data.
 *
 * @throws ERR_SCHEMA for an unknown operator or argument, or a value of the wrong type; ERR_OP where
 * libtorch refuses the call (for shapes seen before, the error arrives at the next await instead).
 */
export function call(name: string, args: readonly unknown[] = [], named?: Named): unknown {
  if (!Array.isArray(args)) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', `${name}: the arguments must be an array`)
  }
  return invoke(operator(name), args, named)
}

/** Puts named arguments into their places. */
function arrange(op: Operator, args: readonly unknown[], named: Named): unknown[] {
  const all = args.slice()
  for (const name of Object.keys(named)) {
    const index = op.byName.get(name)
    if (index === undefined) throw noSuchArgument(op, name)
    if (index < args.length) {
      throw new LandmarkDiffusionError('ERR_SCHEMA', `${op.name}: '${name}' is given twice`)
    }
    all[index] = named[name]
  }
  return all
}

function step(node: Node, key: unknown): Node {
  let next = node.next.get(key)
  if (next === undefined) {
    next = new Node()
    node.next.set(key, next)
  }
  return next
}

/** A step by a constant: numbers that a Map takes for one, but libtorch does not, go different ways. */
function stepConstant(node: Node, value: unknown): Node {
  if (value instanceof TypedScalar) {
    return stepConstant(step(node, value.integer ? 'int' : 'double'), value.value)
  }
  if (isComplexNumber(value)) {
    return stepConstant(stepConstant(step(node, 'complex'), value.re), value.im)
  }
  return step(node, Object.is(value, -0) ? '-0' : value)
}

function wrong(op: Operator, index: number, wanted: string, got: unknown): LandmarkDiffusionError {
  const shown =
    got instanceof Tensor ? got.toString() : typeof got === 'object' ? 'an object' : String(got)
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${op.name}: argument '${op.arguments[index]?.name}' wants ${wanted}, got ${shown.slice(0, 80)}. Schema: ${op.text}`,
  )
}

/** Calls `op`. `args` may be shorter than the schema; what is left out takes its default. */
export function invoke(op: Operator, given: readonly unknown[], named?: Named): unknown {
  const args = named === undefined ? given : arrange(op, given, named)
  if (args.length > op.arguments.length) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${op.name} takes ${op.arguments.length} arguments, got ${args.length}. Schema: ${op.text}`,
    )
  }
  const { words, numbers } = addon()
  const { mode } = currentFrame()
  let inputs = 0
  let values = 0
  let node = step(op.root, mode)
  for (let i = 0; i < op.arguments.length; i++) {
    const argument = op.arguments[i] as (typeof op.arguments)[number]
    const value = args[i]
    if (value === undefined || (value === null && argument.optional)) {
      if (value === undefined && !argument.hasDefault && !argument.optional) {
        throw wrong(op, i, argument.type, 'nothing')
      }
      if (argument.kind === Kind.Tensor) words[scratch.ids + inputs++] = 0
      node = step(node, value)
      continue
    }
    switch (argument.kind) {
      case Kind.Tensor: {
        if (!(value instanceof Tensor)) throw wrong(op, i, 'a Tensor', value)
        words[scratch.ids + inputs++] = value.id
        node = step(node, value.signature.id)
        break
      }
      case Kind.TensorList:
      case Kind.OptionalTensorList: {
        if (!Array.isArray(value)) throw wrong(op, i, 'an array of Tensors', value)
        if (inputs + value.length > mostInputs) throw wrong(op, i, 'a shorter list', value.length)
        node = step(node, value.length)
        for (const element of value) {
          if (element instanceof Tensor) {
            words[scratch.ids + inputs++] = element.id
            node = step(node, element.signature.id)
          } else if (element === null && argument.kind === Kind.OptionalTensorList) {
            words[scratch.ids + inputs++] = 0
            node = step(node, null)
          } else {
            throw wrong(op, i, 'Tensors only', element)
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
        } else if (typeof value === 'boolean' || typeof value === 'bigint') {
          node = step(node, value)
        } else if (isComplexNumber(value)) {
          node = stepConstant(node, value)
        } else {
          throw wrong(op, i, 'a number', value)
        }
        break
      }
      case Kind.Float: {
        if (typeof value !== 'number') throw wrong(op, i, 'a number', value)
        numbers[values++] = value
        node = step(node, slots.double)
        break
      }
      case Kind.VaryingInt: {
        if (!Number.isSafeInteger(value)) throw wrong(op, i, 'a whole number', value)
        numbers[values++] = value as number
        node = step(node, slots.int)
        break
      }
      case Kind.Generator: {
        if (!(value instanceof Generator)) throw wrong(op, i, 'a Generator', value)
        words[scratch.ids + inputs++] = value.id
        node = step(node, slots.generator)
        break
      }
      case Kind.Storage: {
        if (!(value instanceof Tensor)) throw wrong(op, i, 'a Tensor', value)
        words[scratch.ids + inputs++] = value.id
        node = step(node, value.signature.id)
        break
      }
      case Kind.DType: {
        node = step(node, dtypeNumber(value))
        break
      }
      default: {
        if (Array.isArray(value)) {
          node = step(node, value.length)
          for (const element of value) node = stepConstant(node, element)
        } else {
          node = stepConstant(node, value)
        }
      }
    }
  }

  const leaf = node.leaf
  if (leaf === null) return miss(op, args, node, mode, inputs, values)
  if (leaf.results === undefined) return ask(op, args, leaf, mode, inputs, values)
  return queue(op, args, leaf.site, leaf.results, leaf.changes, mode, inputs, values)
}

/** Queues an op of known results and makes their tensors. */
function queue(
  op: Operator,
  args: readonly unknown[],
  site: number,
  results: NonNullable<Leaf['results']>,
  changes: Leaf['changes'],
  mode: number,
  inputs: number,
  values: number,
): unknown {
  const { native, words } = addon()
  let outputs = 0
  const place = scratch.ids + inputs
  const made: unknown[] = []
  for (let i = 0; i < results.length; i++) {
    const result = results[i]
    const same = (op.returns[i] as (typeof op.returns)[number]).argument
    if (same >= 0) {
      made.push(args[same])
    } else if (result === null || result === undefined) {
      words[place + outputs++] = 0
      made.push(null)
    } else if (Array.isArray(result)) {
      made.push(
        result.map((signature) => {
          const id = takeId()
          words[place + outputs++] = id
          return new Tensor(id, signature)
        }),
      )
    } else {
      const id = takeId()
      words[place + outputs++] = id
      made.push(new Tensor(id, result as Tensor['signature']))
    }
  }
  writeHead(words, site, mode, traceId(), inputs, values, outputs)
  native.enqueue()
  if (changes !== null) {
    for (const { argument, element, signature } of changes) {
      writtenTensor(args, argument, element).signature = signature
    }
  }
  return single(made)
}

/** The tensor of an argument, or that at a place of a list. */
function writtenTensor(args: readonly unknown[], argument: number, element: number): Tensor {
  const value = args[argument]
  return (Array.isArray(value) ? value[element] : value) as Tensor
}

/** Gives the tensors that an op wrote to their new signatures; tells which ones changed. */
function applyWritten(args: readonly unknown[], outcome: NativeOutcome): Change[] | null {
  const changes: Change[] = []
  for (const { argument, element, tensor: info } of outcome.written) {
    const tensor = writtenTensor(args, argument, element)
    const signature = intern(info)
    if (tensor.signature === signature) continue
    tensor.signature = signature
    changes.push({ argument, element, signature })
  }
  return changes.length > 0 ? changes : null
}

function single(results: unknown[]): unknown {
  return results.length === 1 ? results[0] : results.length === 0 ? null : results
}

/** First call of these constants and signatures. */
function miss(
  op: Operator,
  args: readonly unknown[],
  node: Node,
  mode: number,
  inputs: number,
  values: number,
): unknown {
  refuseCrash(op, args)
  const { native, words } = addon()
  if (op.leaves.length >= mostLeaves) {
    for (const site of op.leaves) native.releaseSite(site)
    op.leaves = []
    op.root = new Node()
  }
  const site = createSite(op, args)
  op.leaves.push(site)
  const dynamic = dependsOnData(op, args)
  const unknown: Leaf = { site, results: undefined, changes: null, dynamic }
  if (dynamic || op.inferred) {
    node.leaf = unknown
    return ask(op, args, unknown, mode, inputs, values)
  }
  writeHead(words, site, mode, traceId(), inputs, values, 0)
  const outcome = native.runSync()
  const changes = applyWritten(args, outcome)
  const memoized = outcome.results.every((result) => result.value === undefined)
  if (memoized) {
    const results = outcome.results.map(signaturesOf)
    node.leaf = { site, results, changes, dynamic }
  } else {
    node.leaf = unknown
  }
  return settle(op, args, outcome)
}

/** Indexing depends on values where a mask is among the indices; positions give a known shape. */
function dependsOnData(op: Operator, args: readonly unknown[]): boolean {
  if (!op.dynamic || !/^aten::(_unsafe_)?index\.Tensor/.test(op.name)) return op.dynamic
  const isMask = (index: unknown) =>
    index instanceof Tensor && (index.dtype === 'bool' || index.dtype === 'uint8')
  return (args[1] as readonly unknown[]).some(isMask)
}

function signaturesOf(result: NativeOutcome['results'][number]) {
  if (result.tensors !== undefined) return result.tensors.map(intern)
  return result.tensor?.defined ? intern(result.tensor) : null
}

/** Ops whose results cannot be remembered: values, data-dependent shapes, varying integers. */
function ask(
  op: Operator,
  args: readonly unknown[],
  leaf: Leaf,
  mode: number,
  inputs: number,
  values: number,
): unknown {
  const { native, words } = addon()
  writeHead(words, leaf.site, mode, traceId(), inputs, values, 0)
  if (leaf.dynamic) return native.runAsync().then((outcome) => settle(op, args, outcome))
  if (op.inferred) {
    const infos = inferResults(op, args, inputs)
    if (infos !== undefined) return queue(op, args, leaf.site, infos, null, mode, inputs, values)
  }
  return settle(op, args, native.runSync())
}

/** Signatures by libtorch's Meta kernel; undefined where it refuses, and the real op must tell why. */
function inferResults(op: Operator, args: readonly unknown[], inputs: number): Leaf['results'] {
  const { native, words } = addon()
  // The meta tensors know shapes and strides only: no conjugation, no sparse layout.
  const isPlain = (value: unknown) => !(value instanceof Tensor) || value.signature.traits === 0
  if (!args.every(isPlain)) return undefined
  const ids = words.slice(scratch.ids, scratch.ids + inputs)
  let position = scratch.ids
  op.arguments.forEach((argument, i) => {
    if (argument.kind !== Kind.Tensor) return
    const value = args[i]
    if (value instanceof Tensor) {
      register(value.signature)
      words[position] = value.signature.id
    }
    position++
  })
  const infos = native.infer()
  words.set(ids, scratch.ids)
  if (typeof infos === 'string') return undefined
  const device = args.find((value) => value instanceof Tensor)?.device ?? 'cpu'
  return infos.map((info) => intern({ ...info, device }))
}

/** Gives ids to the tensors of an outcome, and arranges the results as the schema says. */
function settle(op: Operator, args: readonly unknown[], outcome: NativeOutcome): unknown {
  applyWritten(args, outcome)
  const ids: number[] = []
  const made = outcome.results.map((result, i) => {
    const same = (op.returns[i] as (typeof op.returns)[number]).argument
    const take = (info: NonNullable<typeof result.tensor>) => {
      const id = info.defined ? takeId() : 0
      ids.push(id)
      return info.defined ? new Tensor(id, intern(info)) : null
    }
    if (result.tensors !== undefined) return result.tensors.map(take)
    if (result.tensor === undefined) return namedValue(op, i, result.value)
    const argument = same >= 0 ? args[same] : undefined
    if (argument instanceof Tensor) {
      ids.push(0)
      return argument
    }
    return take(result.tensor)
  })
  addon().native.adopt(outcome.key, ids)
  return single(made)
}

const quantizationSchemes = [
  'per_tensor_affine',
  'per_channel_affine',
  'per_tensor_symmetric',
  'per_channel_symmetric',
  'per_channel_affine_float_qparams',
]

/** A result that is no tensor: what libtorch numbers has a name here. */
function namedValue(op: Operator, index: number, value: unknown): unknown {
  switch (op.returns[index]?.type) {
    case 'ScalarType':
      return dtypeName(value as number)
    case 'QScheme':
      return quantizationSchemes[value as number]
    default:
      return value
  }
}

function createSite(op: Operator, args: readonly unknown[]): number {
  const kinds: number[] = []
  const constants: unknown[] = []
  op.arguments.forEach((argument, i) => {
    const value = args[i]
    const { kind, constant } = slotOf(argument, value)
    kinds.push(kind)
    constants.push(constant)
  })
  try {
    return addon().native.createSite(op.name, kinds, constants)
  } catch (cause) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${op.name}: ${cause instanceof Error ? cause.message : cause}. Schema: ${op.text}`,
      { cause },
    )
  }
}

function slotOf(argument: Argument, value: unknown): { kind: number; constant?: unknown } {
  const { kind, hasDefault, optional } = argument
  if (kind === Kind.Tensor) return { kind: slots.tensor }
  if (value === undefined && hasDefault) return { kind: slots.default }
  if (value === undefined || (value === null && optional)) {
    return { kind: slots.constant, constant: null }
  }
  switch (kind) {
    case Kind.TensorList:
      return { kind: slots.tensorList, constant: (value as unknown[]).length }
    case Kind.OptionalTensorList:
      return { kind: slots.optionalTensorList, constant: (value as unknown[]).length }
    case Kind.Scalar:
      if (typeof value === 'number') {
        return { kind: Number.isSafeInteger(value) ? slots.int : slots.double }
      }
      if (value instanceof TypedScalar) return { kind: value.integer ? slots.int : slots.double }
      return { kind: slots.constant, constant: value }
    case Kind.Float:
      return { kind: slots.double }
    case Kind.VaryingInt:
      return { kind: slots.int }
    case Kind.Generator:
      return { kind: slots.generator }
    case Kind.Storage:
      return { kind: slots.storage }
    case Kind.DType:
      return { kind: slots.constant, constant: dtypeNumber(value) }
    default: {
      const plain = value instanceof TypedScalar && !argument.type.startsWith('Scalar')
      return { kind: slots.constant, constant: plain ? value.value : value }
    }
  }
}
