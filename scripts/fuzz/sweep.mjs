// Every stored call that PyTorch accepts, with one thing changed at a time, or the shapes of two tensors, in every way of
// a list: what random changes meet once in a million calls, this meets for certain.
import * as torch from 'landmark-diffusion/torch'
import { buildTensor, buildValue } from '../conformance/replay.mjs'
import { apart } from './mutations.mjs'

const wholes = [0, -1, 1, 7, 2 ** 31, 2 ** 53 - 1, -(2 ** 31)]
const reals = [0, -1, NaN, Infinity, 1e30]

const call = (tensor, name, ...args) => torch.call(`aten::${name}`, [tensor, ...args])
const last = (tensor) => tensor.ndim - 1

const tensorChanges = {
  number: (t) => call(t, 'new_zeros', []),
  'no elements': (t) => call(t, 'new_empty', [0]),
  'of no length': (t) => call(t, 'narrow', 0, 0, 0),
  shorter: (t) => call(t, 'narrow', last(t), 0, t.shape[last(t)] - 1),
  'shorter in front': (t) => call(t, 'narrow', 0, 0, t.shape[0] - 1),
  longer: (t) => call(t, 'repeat_interleave.self_int', 2, last(t)),
  'a dimension more': (t) => call(t, 'unsqueeze', 0),
  'a dimension less': (t) => call(t, 'select.int', 0, 0),
  'a long row': (t) => call(t, 'new_ones', [1000]),
  expanded: (t) => call(call(t, 'narrow', last(t), 0, 1), 'expand', t.shape),
  apart,
  turned: (t) => call(t, 'transpose.int', 0, last(t)),
  large: (t) => call(t, 'full_like', /int/.test(t.dtype) ? 100 : 1e9),
  huge: (t) => call(t, 'full_like', t.dtype === 'int64' ? 2 ** 40 : NaN),
  negative: (t) => call(t, 'full_like', -2),
  wide: (t) => call(t, 'to.dtype', /int/.test(t.dtype) ? 'int32' : 'float64'),
  whole: (t) => call(t, 'to.dtype', /int/.test(t.dtype) ? 'uint8' : 'int64'),
  meta: (t) => call(t, 'to.device', 'meta', t.dtype),
  sparse: (t) => call(t, 'to_sparse'),
  oneDNN: (t) => call(t, 'to_mkldnn'),
}

/** Of `tensorChanges`, those that give another shape, or another memory for the same one. */
const shapeChanges = [
  ...['number', 'no elements', 'of no length', 'shorter', 'longer'],
  ...['a dimension more', 'a dimension less', 'a long row', 'expanded'],
]

function changesOfValue(value) {
  if (Array.isArray(value)) {
    const lists = [[], value.slice(1), value.concat(value.slice(-1))]
    const inside = value.flatMap((element, i) =>
      changesOfValue(element).map((other) => value.with(i, other)),
    )
    return value.some((element) => element?.tensor !== undefined) ? lists : [...lists, ...inside]
  }
  if (typeof value === 'boolean') return [!value]
  if (typeof value === 'number') return Number.isInteger(value) ? wholes : reals
  if (value?.float !== undefined) return reals
  return value?.tensor === undefined ? [] : [null]
}

/** The changes of a stored call: of the value at a place, or of tensors by name. */
function* changesOf({ header }) {
  for (const [place, value] of header.args.entries()) {
    for (const other of changesOfValue(value)) yield { list: 'args', place, other }
  }
  for (const [place, value] of Object.entries(header.named)) {
    for (const other of changesOfValue(value)) yield { list: 'named', place, other }
  }
  for (const place of header.tensors.keys()) {
    for (const change of Object.keys(tensorChanges)) yield { tensors: [[place, change]] }
  }
}

/** The changes of the shapes of two tensors. */
function* pairsOf({ header }) {
  for (let second = 1; second < header.tensors.length; second++) {
    for (let first = 0; first < second; first++) {
      for (const one of shapeChanges) {
        for (const other of shapeChanges) {
          yield {
            tensors: [
              [first, one],
              [second, other],
            ],
          }
        }
      }
    }
  }
}

/** All changed calls of `cases` (lists of stored cases by overload), as [case, change]. */
export function readSweep(cases, pairs) {
  const changes = pairs ? pairsOf : changesOf
  return cases.flat().flatMap((one) => Array.from(changes(one), (change) => [one, change]))
}

export function sweptCall([{ header, body }, { list, place, other, tensors = [] }]) {
  const inputs = header.tensors.map((spec) => buildTensor(spec, body))
  for (const [index, change] of tensors) {
    try {
      inputs[index] = tensorChanges[change](inputs[index])
    } catch {
      // Not every tensor can be changed so.
    }
  }
  const build = (value) => buildValue(value, inputs)
  const args = header.args.map((value, i) => build(list === 'args' && place === i ? other : value))
  const named = Object.fromEntries(
    Object.entries(header.named).map(([name, value]) => [
      name,
      build(list === 'named' && place === name ? other : value),
    ]),
  )
  return {
    name: header.op,
    args: Object.keys(named).length > 0 ? [...args, named] : args,
    run: () => torch.call(header.op, args, named),
  }
}
