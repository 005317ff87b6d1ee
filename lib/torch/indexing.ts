/**
 * Indexing as PyTorch's `x[0, 1:, ..., None, rows]`, here `x.at(0, '1:', '...', null, rows)`, and the views
 * that PyTorch writes as properties.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { call } from './call.js'
import { Tensor } from './tensor.js'

type End = number | ''
/** A slice as in Python: `'1:3'`, `':-1'`, `'::2'`. */
export type Slice = `${End}:${End}` | `${End}:${End}:${End}`

/**
 * One place in `at(...)`: a number takes one entry and drops the dimension, a slice text keeps a part of it,
 * `'...'` stands for all dimensions not named, null makes a new dimension of length 1, and a tensor of
 * integers gathers.
 */
export type Index = number | Slice | '...' | null | Tensor

declare module './tensor.js' {
  interface Tensor {
    /**
     * A part of this tensor: a view, or a new tensor where an index is a tensor.
     * `x.at(0, '1:3', '...', -1)` is PyTorch's `x[0, 1:3, ..., -1]`.
     */
    at(...indices: readonly Index[]): Tensor
    /** Transposed. As PyTorch's, meant for matrices: it reverses all dimensions. */
    readonly T: Tensor
    /** The last two dimensions swapped. */
    readonly mT: Tensor
    /** Conjugate transpose of a matrix. */
    readonly H: Tensor
    /** Conjugate transpose of the last two dimensions. */
    readonly mH: Tensor
    /** The real part: a view, or this tensor where it is real. */
    readonly real: Tensor
    /** The imaginary part of a complex tensor: a view. */
    readonly imag: Tensor
    /** This tensor where `condition` holds, `other` elsewhere. */
    where(condition: Tensor, other: Tensor): Tensor
  }
}

function refuse(message: string): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_SCHEMA', `at(): ${message}`)
}

/** `'1:3'` to [start, end, step], null where it is left out. */
function parseSlice(text: string): (number | null)[] {
  const ends = text.split(':')
  if (ends.length < 2 || ends.length > 3 || !ends.every((end) => /^(-?\d+)?$/.test(end))) {
    throw refuse(`'${text.slice(0, 40)}' is no slice; write '1:3', ':-1', '::2' or '...'`)
  }
  return ends.map((end) => (end === '' ? null : Number(end)))
}

function at(source: Tensor, indices: readonly Index[]): Tensor {
  const named = indices.filter((index) => index !== null && index !== '...').length
  if (named > source.ndim) {
    throw refuse(`${named} indices for a tensor of shape [${source.shape.join(', ')}]`)
  }
  if (indices.filter((index) => index === '...').length > 1) throw refuse("'...' stands twice")
  let part = source
  const passed: Tensor[] = []
  const go = (name: string, args: readonly unknown[]) => {
    if (part !== source) passed.push(part)
    part = call(name, [part, ...args]) as Tensor
  }
  // Dimensions left of `dim` are done: what follows cannot move them.
  let dim = 0
  const gathered: (Tensor | null)[] = []
  try {
    for (const index of indices) {
      if (index === '...') {
        dim += source.ndim - named
      } else if (index === null) {
        go('aten::unsqueeze', [dim++])
      } else if (typeof index === 'number') {
        go('aten::select.int', [dim, index])
      } else if (typeof index === 'string') {
        const [start, end, step] = parseSlice(index)
        go('aten::slice.Tensor', [dim++, start, end, step ?? 1])
      } else if (index instanceof Tensor) {
        while (gathered.length < dim) gathered.push(null)
        gathered.push(asPositions(index))
        dim++
      } else {
        throw refuse("an index is a number, a slice such as '1:3', '...', null or a tensor")
      }
    }
    if (gathered.length > 0) go('aten::index.Tensor', [gathered])
    if (part === source) go('aten::alias', [])
  } finally {
    for (const tensor of passed) tensor.dispose()
  }
  return part
}

function asPositions(index: Tensor): Tensor {
  if (index.dtype === 'bool' || index.dtype === 'uint8') {
    throw refuse(
      'a mask gives a shape that is known only when it has run: use `await x.index([mask])` or `await x.maskedSelect(mask)`',
    )
  }
  return index
}

function define(name: string, property: PropertyDescriptor & ThisType<Tensor>): void {
  Object.defineProperty(Tensor.prototype, name, { ...property, configurable: true })
}

define('at', {
  value(...indices: readonly Index[]) {
    return at(this, indices)
  },
  writable: true,
})
define('where', {
  value(condition: Tensor, other: Tensor) {
    return call('aten::where.self', [condition, this, other])
  },
  writable: true,
})
for (const [name, operator] of Object.entries({
  T: 'aten::numpy_T',
  mT: 'aten::mT',
  H: 'aten::matrix_H',
  mH: 'aten::mH',
  real: 'aten::real',
  imag: 'aten::imag',
})) {
  define(name, {
    get() {
      return call(operator, [this])
    },
  })
}
