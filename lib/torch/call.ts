/**
 * One call of one operator. What is known of it (memo.ts) is queued, and its tensors are returned at once; an
 * unknown call is checked, run and waited for, once.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { addon, scratchUse, writeHead } from './addon.js'
import { currentFrame, type Frame } from './context.js'
import { dtypeName } from './dtype.js'
import { takeId } from './handles.js'
import { type Change, type Known, type Leaf, plant, walk, written } from './memo.js'
import { type NativeOutcome, scratch, traits } from './native.js'
import { Kind, noSuchArgument, type Operator, operator } from './operator.js'
import { checkArguments, plainArguments, plainOptions } from './plain.js'
import { refuseInProgram } from './recording.js'
import { intern } from './signature.js'
import { createSite } from './site.js'
import { SliceShapes } from './slices.js'
import { Tensor } from './tensor.js'
import { traceId } from './trace.js'
import { makeRoom } from './tree.js'

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
  const op = operator(name)
  return invoke(op, plainArguments(args), named === undefined ? undefined : plainOptions(named))
}

/** Calls `op` with plain values (plain.ts). What is left out takes its default. */
export function invoke(
  op: Operator,
  args: unknown[],
  named?: ReadonlyMap<string, unknown>,
): unknown {
  if (named !== undefined) arrange(op, args, named)
  while (args.length > 0 && args.at(-1) === undefined) args.pop()
  checkArguments(op, args)
  const frame = currentFrame()
  scratchUse.count++
  const leaf = walk(op, args, args.length, frame.mode).value
  return leaf === null ? first(op, args, frame) : again(leaf, args, frame)
}

/** Puts named arguments into their places. */
function arrange(op: Operator, args: unknown[], named: ReadonlyMap<string, unknown>): void {
  const positional = args.length
  for (const [name, value] of named) {
    const index = op.byName.get(name)
    if (index === undefined) throw noSuchArgument(op, name)
    if (index < positional) {
      throw new LandmarkDiffusionError('ERR_SCHEMA', `${op.name}: '${name}' is given twice`)
    }
    while (args.length < index) args.push(undefined)
    args[index] = value
  }
}

/** A call made before, whose ids and numbers are in the scratch memory. */
export function again(leaf: Leaf, args: readonly unknown[], frame: Frame): unknown {
  if (leaf.single !== null) return makeOne(leaf, leaf.single, frame)
  if (leaf.itself >= 0) {
    send(leaf, frame, 0)
    return args[leaf.itself]
  }
  if (leaf.results !== undefined) return queue(leaf, leaf.results, args, frame)
  const slice = leaf.slices?.signature(args)
  return slice === undefined ? ask(leaf, args, frame) : makeOne(leaf, slice, frame)
}

function send(leaf: Leaf, frame: Frame, outputs: number): void {
  const { native, words } = addon()
  writeHead(words, leaf.site, frame.mode, traceId(), written.inputs, written.numbers, outputs)
  native.enqueue()
}

function makeOne(leaf: Leaf, signature: Tensor['signature'], frame: Frame): Tensor {
  const id = takeId()
  addon().words[scratch.ids + written.inputs] = id
  send(leaf, frame, 1)
  return new Tensor(id, signature)
}

/** Queues an op of known results and makes their tensors. */
function queue(
  leaf: Leaf,
  results: NonNullable<Leaf['results']>,
  args: readonly unknown[],
  frame: Frame,
): unknown {
  const { words } = addon()
  const { returns } = leaf.op
  const place = scratch.ids + written.inputs
  let outputs = 0
  const make = (signature: Tensor['signature']) => {
    const id = takeId()
    words[place + outputs++] = id
    return new Tensor(id, signature)
  }
  const made: unknown[] = []
  for (let i = 0; i < results.length; i++) {
    const result = results[i]
    const same = (returns[i] as (typeof returns)[number]).argument
    if (same >= 0) {
      made.push(args[same])
    } else if (result === null || result === undefined) {
      words[place + outputs++] = 0
      made.push(null)
    } else {
      made.push(Array.isArray(result) ? result.map(make) : make(result as Tensor['signature']))
    }
  }
  send(leaf, frame, outputs)
  apply(leaf.changes, args)
  return single(made)
}

/** The tensor of an argument, or that at a place of a list. */
function writtenTensor(args: readonly unknown[], argument: number, element: number): Tensor {
  const value = args[argument]
  return (Array.isArray(value) ? value[element] : value) as Tensor
}

/** What an op that was waited for made of the tensors that it wrote to; null where none changed. */
function changesOf(args: readonly unknown[], outcome: NativeOutcome): Change[] | null {
  const changes = outcome.written
    .map(({ argument, element, tensor }) => ({ argument, element, signature: intern(tensor) }))
    .filter(
      ({ argument, element, signature }) =>
        writtenTensor(args, argument, element).signature !== signature,
    )
  return changes.length > 0 ? changes : null
}

function apply(changes: readonly Change[] | null, args: readonly unknown[]): void {
  if (changes === null) return
  for (const { argument, element, signature } of changes) {
    writtenTensor(args, argument, element).signature = signature
  }
}

function single(results: unknown[]): unknown {
  return results.length === 1 ? results[0] : results.length === 0 ? null : results
}

/** First call of these constants and signatures. It is remembered if libtorch accepts it. */
function first(op: Operator, args: readonly unknown[], frame: Frame): unknown {
  makeRoom()
  const { native, words } = addon()
  const { mode } = frame
  const site = createSite(op, args)
  const slices = SliceShapes.of(op.name, args, mode)
  const dynamic = dependsOnData(op, args)
  const asked: Leaf = {
    op,
    site,
    single: null,
    itself: -1,
    results: undefined,
    changes: null,
    dynamic,
    slices,
  }
  if (dynamic || slices !== null) {
    remember(asked, args, mode)
    return again(asked, args, frame)
  }
  const use = scratchUse.count
  let outcome: NativeOutcome
  try {
    writeHead(words, site, mode, traceId(), written.inputs, written.numbers, 0)
    outcome = native.runSync()
  } catch (error) {
    native.releaseSite(site)
    throw error
  }
  // A hook that ran meanwhile may have freed the arguments or changed their shapes: the outcome is that of
  // what they were.
  if (scratchUse.count === use) remember(asked, args, mode, outcome)
  else native.releaseSite(site)
  return settle(op, args, outcome)
}

/** Plants the call, before its arguments take the signatures that the op gave them. */
function remember(
  asked: Leaf,
  args: readonly unknown[],
  mode: number,
  outcome?: NativeOutcome,
): void {
  const { op, site } = asked
  op.sites.push(site)
  const known =
    outcome?.results.every((result) => result.value === undefined) && !isOpaque(op, args)
  if (outcome === undefined || !known) {
    plant(op, args, mode, asked)
    return
  }
  const results = outcome.results.map(signaturesOf)
  const changes = changesOf(args, outcome)
  const same = op.returns[0]?.argument ?? -1
  const [one] = results.length === 1 && changes === null ? results : []
  const single = same < 0 && one !== undefined && isSignature(one) ? one : null
  const itself = one !== undefined && args[same] instanceof Tensor ? same : -1
  plant(op, args, mode, { ...asked, results, changes, single, itself })
}

/** Whether shapes depend on more than signatures tell: a storage's size, rows of unequal length. */
function isOpaque(op: Operator, args: readonly unknown[]): boolean {
  const isNested = (value: unknown) =>
    value instanceof Tensor && (value.signature.traits & traits.nested) !== 0
  return op.arguments.some(({ kind }, index) => {
    const value = args[index]
    return kind === Kind.Storage || (Array.isArray(value) ? value.some(isNested) : isNested(value))
  })
}

function isSignature(result: Known): result is Tensor['signature'] {
  return result !== null && !Array.isArray(result)
}

/** Indexing depends on values where a mask is among the indices; positions give a known shape. */
function dependsOnData(op: Operator, args: readonly unknown[]): boolean {
  if (!op.dynamic || !/^aten::(_unsafe_)?index\.Tensor/.test(op.name)) return op.dynamic
  const isMask = (index: unknown) =>
    index instanceof Tensor && (index.dtype === 'bool' || index.dtype === 'uint8')
  return (args[1] as readonly unknown[]).some(isMask)
}

function signaturesOf(result: NativeOutcome['results'][number]): Known {
  if (result.tensors !== undefined) return result.tensors.map(intern)
  return result.tensor?.defined ? intern(result.tensor) : null
}

/** Ops whose results cannot be remembered: values, and shapes that depend on data. */
function ask(leaf: Leaf, args: readonly unknown[], frame: Frame): unknown {
  const { native, words } = addon()
  const { op } = leaf
  writeHead(words, leaf.site, frame.mode, traceId(), written.inputs, written.numbers, 0)
  if (!leaf.dynamic) return settle(op, args, native.runSync())
  refuseInProgram(
    `${op.name} was called, whose result or its shape depends on values,`,
    'Compute with tensors (where, masks), or do this part outside.',
  )
  const given = args.slice()
  return native.runAsync().then((outcome) => settle(op, given, outcome))
}

/** Gives ids to the tensors of an outcome, and arranges the results as the schema says. */
function settle(op: Operator, args: readonly unknown[], outcome: NativeOutcome): unknown {
  apply(changesOf(args, outcome), args)
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
