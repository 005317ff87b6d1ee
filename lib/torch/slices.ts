/**
 * Shapes of slices, by arithmetic: `select`, `slice` and `narrow` with ever other bounds would else each be a
 * new call to wait for. The rules are those of libtorch's `TensorShape.cpp`.
 */
import { modeFlags } from './native.js'
import { intern, type Signature } from './signature.js'
import { Tensor } from './tensor.js'

/** The arguments of these operators that vary from call to call. */
export const varyingIntegers: Readonly<Record<string, readonly string[]>> = {
  'aten::select.int': ['index'],
  'aten::slice.Tensor': ['start', 'end'],
  'aten::narrow': ['start', 'length'],
}

/** Lengths of one slice remembered at a time. */
const mostLengths = 1024

/** `null` for the dimension dropped; undefined for what libtorch is to be asked, or to refuse. */
type Length = number | null | undefined
type Rule = (size: number, args: readonly unknown[]) => Length

function clampTo(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value
}

const rules: Readonly<Record<string, Rule>> = {
  'aten::select.int': (size, args) => {
    const index = args[2] as number
    return index >= -size && index < size ? null : undefined
  },
  'aten::slice.Tensor': (size, args) => {
    const [, , first, last, step] = args as readonly (number | null | undefined)[]
    const by = step ?? 1
    if (!(by > 0)) return undefined
    const from = first ?? 0
    const to = last ?? size
    const start = clampTo(from < 0 ? from + size : from, 0, size)
    const end = clampTo(to < 0 ? to + size : to, start, size)
    return Math.ceil((end - start) / by)
  },
  'aten::narrow': (size, args) => {
    const start = args[2] as number
    const length = args[3] as number
    const from = start < 0 ? start + size : start
    return from >= 0 && length >= 0 && from + length <= size ? length : undefined
  },
}

/** The results of one slicing operator on tensors of one signature, by the length that comes out. */
export class SliceShapes {
  readonly #rule: Rule
  readonly #source: Signature
  readonly #dim: number
  readonly #step: number
  readonly #requiresGrad: boolean
  readonly #byLength = new Map<number | null, Signature>()

  private constructor(
    rule: Rule,
    source: Signature,
    dim: number,
    step: number,
    requiresGrad: boolean,
  ) {
    this.#rule = rule
    this.#source = source
    this.#dim = dim
    this.#step = step
    this.#requiresGrad = requiresGrad
  }

  /** null where the operator is none of these, or is given what libtorch is to judge. */
  static of(name: string, args: readonly unknown[], mode: number): SliceShapes | null {
    const rule = rules[name]
    const [source, dim = 0] = args
    const step = name === 'aten::slice.Tensor' ? (args[4] ?? 1) : 1
    if (rule === undefined || !(source instanceof Tensor)) return null
    const { ndim, signature, requiresGrad } = source
    const plain = signature.traits === 0 && signature.strides.length === ndim
    if (typeof step !== 'number' || typeof dim !== 'number') return null
    if (!plain || dim < -ndim || dim >= ndim) return null
    const records = requiresGrad && (mode & modeFlags.grad) !== 0
    return new SliceShapes(rule, signature, dim < 0 ? dim + ndim : dim, step, records)
  }

  /** The result's signature; undefined where libtorch is to be asked. */
  signature(args: readonly unknown[]): Signature | undefined {
    const length = this.#rule(this.#source.shape[this.#dim] as number, args)
    return length === undefined ? undefined : (this.#byLength.get(length) ?? this.#add(length))
  }

  #add(length: number | null): Signature {
    const { shape, strides, dtypeNumber: dtype, device, traits } = this.#source
    const dim = this.#dim
    const replace = (list: readonly number[], entry: number) =>
      list.flatMap((value, i) => (i !== dim ? [value] : length === null ? [] : [entry]))
    const signature = intern({
      defined: true,
      shape: replace(shape, length ?? 0),
      strides: replace(strides, (strides[dim] as number) * this.#step),
      dtype,
      device,
      requiresGrad: this.#requiresGrad,
      isLeaf: !this.#requiresGrad,
      traits,
    })
    if (this.#byLength.size >= mostLengths) this.#byLength.clear()
    this.#byLength.set(length, signature)
    return signature
  }
}
