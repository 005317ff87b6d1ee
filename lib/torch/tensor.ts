/**
 * A tensor as JavaScript sees it: a small integer that names it on the executor, and its signature. It
 * has no finalizer: scopes, `using` or `dispose()` free it (docs/memory.md tells why).
 */
import { LandmarkDiffusionError, TensorDisposedError } from '../errors.js'
import { addon } from './addon.js'
import { currentFrame } from './context.js'
import {
  bfloatToNumber,
  type DType,
  dtypeName,
  halfToNumber,
  isComplex,
  isFloatingPoint,
  type TypedArray,
  typedArray,
} from './dtype.js'
import { freeIds, takeId } from './handles.js'
import { unwatch, watch, watchingLeaks } from './leaks.js'
import type { NativeValue } from './native.js'
import type { Complex } from './scalar.js'
import type { Signature } from './signature.js'
import { contiguousStrides, intern } from './signature.js'
import { traceId } from './trace.js'

export type Element = number | bigint | boolean | Complex
export type Nested = Element | Nested[]

/** By c10::Layout's numbers. */
const layouts = [
  'strided',
  'sparse_coo',
  'sparse_csr',
  '_mkldnn',
  'sparse_csc',
  'sparse_bsr',
  'sparse_bsc',
  'jagged',
]

/** Elements, and arrays that hold none, up to which nested arrays are made. */
const mostListed = 1 << 26

/** Backward passes queued so far: a tensor has no gradient before one came after it. */
let passes = 0

export interface BackwardOptions {
  /** dL/d(this), of this tensor's shape; may be left out for a single value. */
  gradient?: Tensor
  retainGraph?: boolean
  createGraph?: boolean
  /** Accumulate into these leaves only. */
  inputs?: readonly Tensor[]
}

// The operators as methods come from generated/, which extends this class.
export class Tensor {
  #id: number
  /** Pass count when the gradient was last known to be absent. */
  #cleared = passes
  /** @internal */
  signature: Signature

  /** @internal Tensors come from operators and factories. */
  constructor(id: number, signature: Signature) {
    this.#id = id
    this.signature = signature
    currentFrame().scope?.add(this)
    if (watchingLeaks) watch(this)
  }

  /** @internal Name on the executor. Throws TensorDisposedError. */
  get id(): number {
    if (this.#id === 0) {
      throw new TensorDisposedError(
        `this tensor (${this.signature.dtype}[${this.signature.shape.join(', ')}]) is disposed. ` +
          'It was freed by dispose(), `using` or the end of its scope: return it from the scope or keep() it.',
      )
    }
    return this.#id
  }

  get shape(): readonly number[] {
    return this.signature.shape
  }

  get dtype(): DType {
    return this.signature.dtype
  }

  /** `'cpu'`, `'cuda:0'`, ... */
  get device(): string {
    return this.signature.device
  }

  /** `'strided'`, `'sparse_coo'`, ... Strides are known of strided tensors only. */
  get layout(): string {
    return layouts[this.signature.traits & 0xff] as string
  }

  get requiresGrad(): boolean {
    return this.signature.requiresGrad
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.signature.shape.length
  }

  /** Number of elements. */
  get numel(): number {
    return this.signature.shape.reduce((product, length) => product * length, 1)
  }

  /** Number of dimensions. */
  dim(): number {
    return this.signature.shape.length
  }

  /** The shape, or the length of one dimension, which counts from the end where it is negative. */
  size(): readonly number[]
  size(dim: number): number
  size(dim?: number): readonly number[] | number {
    return dim === undefined ? this.shape : this.#entry(this.shape, dim)
  }

  /** Elements to step over for the next index: per dimension, or of one dimension. */
  stride(): readonly number[]
  stride(dim: number): number
  stride(dim?: number): readonly number[] | number {
    const { strides } = this.signature
    return dim === undefined ? strides : this.#entry(strides, dim)
  }

  #entry(list: readonly number[], dim: number): number {
    const entry = list[dim < 0 ? dim + list.length : dim]
    if (entry === undefined) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        `dimension ${String(dim)} of a tensor of shape [${this.shape.join(', ')}] does not exist`,
      )
    }
    return entry
  }

  isFloatingPoint(): boolean {
    return isFloatingPoint(this.dtype)
  }

  isComplex(): boolean {
    return isComplex(this.dtype)
  }

  /** Whether the values lie in memory in row-major order, or with the channels last. */
  isContiguous(options: { memoryFormat?: 'contiguous_format' | 'channels_last' } = {}): boolean {
    const { shape, strides } = this.signature
    const channelsLast = options.memoryFormat === 'channels_last'
    if (strides.length !== shape.length || (channelsLast && shape.length !== 4)) return false
    const order = channelsLast ? [0, 2, 3, 1] : shape.map((_, dim) => dim)
    const wanted = contiguousStrides(order.map((dim) => shape[dim] as number))
    return (
      this.numel === 0 || order.every((dim, i) => shape[dim] === 1 || strides[dim] === wanted[i])
    )
  }

  get disposed(): boolean {
    return this.#id === 0
  }

  /** Frees the tensor, behind the ops queued with it. Twice is once. */
  dispose(): void {
    if (this.#id !== 0) freeIds([this.#release()])
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal Gives up the id without freeing it. */
  release(): number {
    return this.#release()
  }

  #release(): number {
    const id = this.#id
    this.#id = 0
    if (watchingLeaks) unwatch(this)
    return id
  }

  /** Values in row-major order, when everything queued before is done. Rejects with an OpError. */
  async data(): Promise<TypedArray> {
    const value = await this.#read()
    return typedArray(dtypeName(value.dtype), value.bytes)
  }

  /** The one value of a tensor with one element. int64 gives a bigint. */
  async item(): Promise<Element> {
    if (this.numel !== 1) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        `item() wants a tensor of one element, this one has shape [${this.shape.join(', ')}]`,
      )
    }
    return elements(await this.#read())[0] as Element
  }

  /** Values as nested arrays; half-precision as numbers, int64 as bigint, complex as { re, im }. */
  async tolist(): Promise<Nested> {
    const value = await this.#read()
    const arrays = value.shape.reduce((product, length) => product * Math.max(length, 1), 1)
    if (arrays > mostListed) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        `tolist() of shape [${value.shape.join(', ')}] would fill the JavaScript heap; data() gives a typed array`,
      )
    }
    return nest(elements(value), value.shape)
  }

  async #read(): Promise<NativeValue> {
    return await addon().native.read(this.id)
  }

  /**
   * Gradients of this tensor for all leaves that it was computed from, added to their `grad`. Queued like
   * an op: an error arrives at the next await of `synchronize()`.
   */
  backward(options: BackwardOptions = {}): void {
    const { gradient, retainGraph, createGraph = false, inputs = [] } = options
    if (!this.requiresGrad) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        'backward(): this tensor does not require a gradient; it was made from constants or inside noGrad()',
      )
    }
    if (gradient === undefined && this.numel !== 1) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        `backward(): a gradient can be left out only for a single value, this tensor has shape [${this.shape.join(', ')}]`,
      )
    }
    const ids = inputs.map((input) => input.id)
    const gradients = [gradient?.id ?? 0]
    const keep = retainGraph ?? createGraph
    addon().native.backward([this.id], gradients, ids, keep, createGraph, traceId())
    passes++
  }

  /**
   * The gradient that backward passes accumulated, or null before any. A new handle each time: free it
   * like any tensor. Where no pass reached this tensor, reading the handle's values rejects.
   */
  get grad(): Tensor | null {
    return gradients([this])[0] ?? null
  }

  /** Sets the gradient; null clears it, as `zero_grad(set_to_none=True)` does. */
  set grad(value: Tensor | null) {
    addon().native.setGrad([this.id], value?.id ?? 0)
    this.#cleared = value === null ? passes : -1
  }

  /** @internal */
  get mayHaveGrad(): boolean {
    return this.requiresGrad && this.#cleared < passes
  }

  /** @internal */
  markCleared(): void {
    this.#cleared = passes
  }

  toString(): string {
    const extra = this.requiresGrad ? ', requiresGrad' : ''
    return `Tensor(${this.dtype}[${this.shape.join(', ')}], ${this.device}${extra})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Gradients of many tensors by one task; null for those that can have none yet. */
export function gradients(tensors: readonly Tensor[]): (Tensor | null)[] {
  const ids: number[] = []
  const results: number[] = []
  const found = tensors.map((tensor) => {
    if (!tensor.mayHaveGrad) return null
    const id = takeId()
    ids.push(tensor.id)
    results.push(id)
    const { dtypeNumber: dtype, ...known } = tensor.signature
    return new Tensor(id, intern({ ...known, defined: true, dtype, requiresGrad: false }))
  })
  if (ids.length > 0) addon().native.getGrad(ids, results)
  return found
}

/** Clears the gradients of many tensors by one task. */
export function clearGradients(tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors) || tensors.length > mostListed) {
    throw new LandmarkDiffusionError('ERR_SCHEMA', 'clearGradients() takes an array of Tensors')
  }
  if (tensors.length === 0) return
  const ids = tensors.map((tensor) => tensor.id)
  addon().native.setGrad(ids, 0)
  for (const tensor of tensors) tensor.markCleared()
}

function elements(value: NativeValue): Element[] {
  const dtype = dtypeName(value.dtype)
  const array = typedArray(dtype, value.bytes)
  if (dtype === 'bool') return Array.from(array as Uint8Array, (byte) => byte !== 0)
  if (dtype === 'float16') return Array.from(array as Uint16Array, halfToNumber)
  if (dtype === 'bfloat16') return Array.from(array as Uint16Array, bfloatToNumber)
  if (isComplex(dtype)) {
    const parts = Array.from(array as Float64Array | Uint16Array)
    const numbers = dtype === 'complex32' ? parts.map(halfToNumber) : parts
    return Array.from({ length: numbers.length / 2 }, (_, i) => ({
      re: numbers[2 * i] as number,
      im: numbers[2 * i + 1] as number,
    }))
  }
  return Array.from(array as ArrayLike<number | bigint>)
}

function nest(values: Element[], shape: readonly number[]): Nested {
  if (shape.length === 0) return values[0] as Element
  let level: Nested[] = values
  for (let i = shape.length - 1; i > 0; i--) {
    const length = shape[i] as number
    const rows = shape.slice(0, i).reduce((product, n) => product * n, 1)
    const inner = level
    level = Array.from({ length: rows }, (_, row) => inner.slice(row * length, (row + 1) * length))
  }
  return level
}
