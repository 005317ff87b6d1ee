// Calls that PyTorch accepts, from the conformance cases, changed in a place or two: they come past the first checks
// of an operator, to the kernels that trust what those left over (an index, a length, a gradient's shape).
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as torch from 'landmark-diffusion/torch'
import { LandmarkDiffusionError } from '#lib/errors.js'
import { readCases } from '../conformance/frames.mjs'
import { buildTensor, buildValue } from '../conformance/replay.mjs'
import * as values from './values.mjs'

const folder = fileURLToPath(new URL('../../test/fixtures/conformance/', import.meta.url))

/** The stored cases by overload, those of the operators that `only` matches. */
export function readCalls(only) {
  const byName = new Map()
  for (const name of readdirSync(folder).sort()) {
    for (const { header, body } of readCases(join(folder, name))) {
      if (header.refused || (only !== undefined && !new RegExp(only).test(header.op))) continue
      byName.set(header.op, [...(byName.get(header.op) ?? []), { header, body }])
    }
  }
  return [...byName.values()]
}

/** A random case of `calls`, changed: `name`, shown arguments and `run()`. */
export async function mutatedCall(random, tensors, calls) {
  for (;;) {
    const cases = random.pick(calls)
    try {
      return await changed(random, tensors, random.pick(cases), random.pick(cases))
    } catch (error) {
      // A tensor of a case that this library refuses to make.
      if (!(error instanceof LandmarkDiffusionError)) throw error
    }
  }
}

/** `other` is a call of the same overload: what fits it fits this one in kind, and not in size. */
async function changed(random, tensors, { header, body }, other) {
  const inputs = header.tensors.map((spec) => buildTensor(spec, body))
  const places = inputs.length > 0 && random.chance(0.75) ? inputs.keys() : []
  for (const place of places) {
    if (!random.chance(Math.max(0.35, 1 / inputs.length))) continue
    const spec = random.chance(0.25) ? other.header.tensors[place] : undefined
    inputs[place] = spec
      ? buildTensor(spec, other.body)
      : await changedTensor(random, tensors, inputs, place)
  }
  const change = (value, foreign) => {
    if (random.chance(0.15)) return changedValue(random, value)
    const isPlain = typeof foreign !== 'object' || JSON.stringify(foreign).indexOf('{') < 0
    return buildValue(isPlain && random.chance(0.15) ? foreign : value, inputs)
  }
  const args = header.args.map((value, i) => change(value, other.header.args[i] ?? value))
  const named = Object.fromEntries(
    Object.entries(header.named).map(([name, value]) => [
      name,
      change(value, other.header.named[name] ?? value),
    ]),
  )
  return {
    name: header.op,
    args: Object.keys(named).length > 0 ? [...args, named] : args,
    run: async () => {
      try {
        return await torch.call(header.op, args, named)
      } finally {
        // A case makes a generator of its own.
        for (const value of [...args, ...Object.values(named)]) {
          if (value instanceof torch.Generator) value.dispose()
        }
      }
    },
  }
}

/** `plain` JSON of a case, or a reference to a tensor, as something near to it. */
function changedValue(random, value) {
  if (Array.isArray(value)) {
    const list = value.map((element) =>
      typeof element === 'number' && random.chance(0.5) ? values.integer(random) : element,
    )
    if (random.chance(0.3)) list.pop()
    if (random.chance(0.1)) list.push(values.integer(random))
    return list.some((element) => typeof element === 'object') ? [] : list
  }
  if (typeof value === 'boolean') return !value
  if (typeof value === 'number')
    return Number.isInteger(value) ? values.integer(random) : values.real(random)
  if (typeof value === 'string') return values.constant(random, 'str')
  return random.chance(0.7) ? null : values.scalar(random)
}

/** A tensor like one of `inputs`, and unlike it in one respect. */
async function changedTensor(random, tensors, inputs, place) {
  const tensor = inputs[place]
  const call = (name, ...args) => torch.call(`aten::${name}`, [tensor, ...args])
  const { shape } = tensor
  const dim = random.int(0, Math.max(shape.length - 1, 0))
  try {
    if (tensors.hasLayout()) return tensors.laidOut(tensor)
    switch (random.int(0, 14)) {
      case 0:
      case 1:
      case 2:
      case 10:
        return withWildValues(random, tensor)
      case 3:
        return call('narrow', dim, 0, random.int(0, Math.max(shape[dim] - 1, 0)))
      case 4:
        return call('repeat_interleave.self_int', random.int(2, 3), dim)
      case 5:
        return random.chance(0.5) ? call('unsqueeze', dim) : call('select.int', dim, 0)
      case 6:
        return call('to.dtype', values.dtype(random))
      case 7:
        return call('transpose.int', 0, shape.length - 1)
      case 8:
        return random.pick(inputs)
      case 9:
        return random.chance(0.5) ? apart(tensor) : turned(tensor)
      case 11:
        return torch.call('aten::expand', [call('narrow', dim, 0, 1), shape])
      case 12:
        return call('new_empty', random.pick([[0], [], [...shape, 0], shape.map(() => 0)]))
      case 13:
        return call(random.pick(['to_sparse', 'to_sparse_csr', 'to_mkldnn', '_neg_view', '_conj']))
      default:
        return await tensors.make()
    }
  } catch {
    // Not every kind of tensor can be changed in every respect.
    return tensors.make()
  }
}

/** The same values with gaps between them, in which values lie that are out of every range. */
export function apart(tensor) {
  const wild = tensor.dtype === 'int64' ? 2 ** 40 : /int/.test(tensor.dtype) ? 100 : NaN
  const between = torch.call('aten::full_like', [tensor, wild])
  const both = torch.call('aten::stack', [[tensor, between], -1])
  return torch.call('aten::select.int', [both, -1, 0])
}

/** The same values in another order of dimensions. */
function turned(tensor) {
  const last = tensor.ndim - 1
  const other = torch.call('aten::contiguous', [
    torch.call('aten::transpose.int', [tensor, 0, last]),
  ])
  return torch.call('aten::transpose.int', [other, 0, last])
}

/** The tensor with some values that are out of every range. */
function withWildValues(random, tensor) {
  const wild = [-1, -2, -(2 ** 31), 2 ** 31 - 1, 2 ** 40, 127, 255, 1e6, ...tensor.shape]
  const { dtype } = tensor
  const value = /int/.test(dtype)
    ? random.pick(wild)
    : random.pick([NaN, Infinity, -1e30, 0, -1, 1e9])
  if (random.chance(0.3)) return torch.call('aten::full_like', [tensor, value])
  const where = torch.call('aten::lt.Scalar', [torch.rand(tensor.shape), 0.3])
  return torch.call('aten::masked_fill.Scalar', [tensor, where, value])
}
