// What libtorch has: its public operators with their overloads, each beside its out= variant, and the names of
// the methods of at::Tensor.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { argumentType, outArguments } from './types.mjs'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const native = createRequire(import.meta.url)('node-gyp-build')(root)
const noPass = () => {
  throw new Error('no backward pass runs here')
}
native.start((...failure) => new Error(failure.join(' ')), noPass, noPass)

export const libtorchVersion = native.versions().libtorch.split('.').slice(0, 2).join('.')

// Answered from what a Tensor knows of itself, or written by hand because a promise, a property or another
// argument list is wanted: see lib/torch/tensor.ts, conversion.ts and indexing.ts.
const byHand = new Set(
  `data dim grad is_complex is_contiguous is_floating_point is_leaf item mH mT matrix_H numel numpy_T
  retain_grad retains_grad size stride to`.split(/\s+/),
)
// Internals in spite of their names: symbolic shapes, functional tensors, the compiler's own.
const internal = /^(sym_|lift|fused_moving_avg_obs|convolution_overrideable$|set_data$|linalg__)/

/** Base name of a schema: `aten::add.Tensor` is of `add`. */
const baseOf = (name) => name.slice('aten::'.length).split('.', 1)[0]

const isPublic = (base) =>
  !base.startsWith('_') && !/backward/.test(base) && !internal.test(base) && !byHand.has(base)

const isOut = (schema) => outArguments(schema).length > 0

const tensorOptions = new Set(['dtype', 'layout', 'device', 'pin_memory'])

/** Makes a tensor out of nothing, or of another's shape. */
export const isFactory = (schema) =>
  schema.arguments.some(({ name, keywordOnly }) => name === 'pin_memory' && keywordOnly)

/** The arguments that an operator and its out= variant have in common: where `out` is given, it has the dtype. */
function commonKey(schema) {
  return schema.arguments
    .filter(({ written, keywordOnly }) => !(written && keywordOnly))
    .filter(({ name }) => !(isFactory(schema) && tensorOptions.has(name)))
    .map(({ name, type }) => `${name}:${type}`)
    .join()
}

const scalars = (schema) => schema.arguments.filter(({ type }) => /^Scalar\??$/.test(type)).length

/**
 * The public operators: `{ base, overloads: [{ schema, out }] }` by base name. PyTorch tries overloads with
 * tensors before those with numbers in their place; so are they ordered here.
 */
export function operators() {
  const byBase = new Map()
  const outs = new Map()
  for (const name of native.operators()) {
    if (!name.startsWith('aten::')) continue
    const base = baseOf(name)
    // Named tensors are deprecated in PyTorch; a dimension is a number here.
    if (!isPublic(base) || /dimname|names/.test(name)) continue
    const schema = native.schema(name)
    if (!schema.arguments.every((argument) => argumentType(argument) !== undefined)) continue
    if (isOut(schema)) {
      if (outArguments(schema).every(({ type }) => type === 'Tensor')) {
        outs.set(`${base} ${commonKey(schema)}`, schema)
      }
    } else {
      if (!byBase.has(base)) byBase.set(base, [])
      byBase.get(base).push(schema)
    }
  }
  return [...byBase].map(([base, schemas]) => ({
    base,
    overloads: schemas
      .sort((a, b) => scalars(a) - scalars(b))
      .map((schema) => ({ schema, out: outs.get(`${base} ${commonKey(schema)}`) })),
  }))
}

/** Names of the methods of at::Tensor, which are PyTorch's methods on tensors too. */
export function methodNames() {
  const libtorch = readFileSync(join(root, 'build/libtorch.txt'), 'utf8').trim()
  const header = readFileSync(join(libtorch, 'include/ATen/core/TensorBody.h'), 'utf8')
  const names = header.matchAll(/^ {2}\S[^\n(]*? (\w+)\([^\n]*\) const;/gm)
  return new Set(Array.from(names, ([, name]) => name.replace(/^__dispatch_/, '')))
}
