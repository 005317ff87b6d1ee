/**
 * A tensor as JavaScript sees it: a small integer that names it on the executor, and its signature. It
 * has no finalizer: scopes, `using` or `dispose()` free it (docs/memory.md tells why).
 */
import { LandmarkDiffusionError, TensorDisposedError } from '../errors.js'
import { addon } from './addon.js'
import { backward } from './autograd/grad.js'
import { type GradNode, gradientGraph } from './autograd/graph.js'
import { type HookHandle, registerHook } from './autograd/hooks.js'
import { call } from './call.js'
import { currentFrame } from './context.js'
import {
  bfloatToNumber,
  type DType,
  dtypeName,
  elementBytes,
  halfToNumber,
  isComplex,
  isFloatingPoint,
  type TypedArray,
  typedArray,
} from './dtype.js'
import { freeIds, takeId } from './handles.js'
import { type ContiguousFormat, isContiguous } from './layout.js'
import { unwatch, watch, watchingLeaks } from './leaks.js'
import { gradientFlags, type Native, type NativeValue } from './native.js'
import { noteUse, refuseInProgram } from './recording.js'
import type { Complex } from './scalar.js'
import { gradientSignature, type Signature } from './signature.js'
import { traceId } from './trace.js'
import { wantTensors } from './wants.js'

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

/** Those whose one value comes as it is. */
const itemTypes: ReadonlySet<DType> = new Set(['float32', 'float64', 'int64', 'bool'])

/** Elements, and arrays that hold none, up to which nested arrays are made. */
const mostListed = 1 << 26

/** Backward passes and calls of `grad()` queued so far. */
let passes = 0
/** Of those, the last that leaves gradients, and the last of these that recorded them. */
let lastBackward = 0
let lastRecorded = 0
/** What a tensor made now is marked with: the passes so far; inside a callback, those before its pass. */
let mark = 0
/** Marks from here on belong to tensors that are queued behind the pass of the callback that runs now. */
const unlimited = 2 ** 31 - 1
let limit = unlimited

/** What is known of a gradient that was cleared or set: when, and what it was set to. */
interface GradientState {
  readonly since: number
  readonly signature?: Signature
}
const gradientStates = new WeakMap<Tensor, GradientState>()
const retained = new WeakSet<Tensor>()
/** Grows whenever a tensor may have got or lost its gradient. */
let gradientVersion = 0

/** @internal While it stays the same, so does every tensor's `gradientKind`. */
export function gradientsVersion(): number {
  return gradientVersion
}

/** @internal What a replayed program left: `signature` of the gradient, or null where it was cleared. */
export function setGradientKind(tensor: Tensor, signature: Signature | null): void {
  gradientStates.set(tensor, { since: passes, ...(signature && { signature }) })
  gradientVersion++
}

/** @internal Number of a new pass. */
export function beginPass(): number {
  passes++
  if (limit === unlimited) mark = passes
  return passes
}

/**
 * @internal Runs a callback of a pass. Tensors made after the pass was queued have no values while it
 * runs; to use one inside is an error.
 */
export function insidePass<T>(pass: number, fn: () => T): T {
  if (limit !== unlimited) return fn()
  mark = pass - 1
  limit = pass
  try {
    return fn()
  } finally {
    mark = passes
    limit = unlimited
  }
}

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
  readonly #made = mark
  /** @internal */
  signature: Signature

  /** @internal Tensors come from operators and factories. */
  constructor(id: number, signature: Signature) {
    this.#id = id
    this.signature = signature
    currentFrame().scope?.add(this)
    if (watchingLeaks) watch(this)
  }

  /** @internal Whether it is one, and not only looks like one. */
  static isTensor(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #id in value
  }

  /** @internal Name on the executor. Throws TensorDisposedError. */
  get id(): number {
    if (this.#id === 0 || this.#made >= limit) throw this.#unusable()
    noteUse(this)
    return this.#id
  }

  #unusable(): LandmarkDiffusionError {
    const name = `this tensor (${this.signature.dtype}[${this.signature.shape.join(', ')}])`
    if (this.#id === 0) {
      return new TensorDisposedError(
        `${name} is disposed. It was freed by dispose(), \`using\` or the end of its scope: return it from the scope or keep() it.`,
      )
    }
    return new LandmarkDiffusionError(
      'ERR_OP',
      `${name} was made after the backward() whose callback uses it, so it has no values yet: a variable ` +
        'that the function refers to was assigned anew. Refer to one that stays, or await a value before going on.',
    )
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

  /** As `requiresGrad_()`: only leaves of a floating or complex dtype can be changed. */
  set requiresGrad(value: boolean) {
    call('aten::requires_grad_', [this, value])
  }

  /** Whether backward passes leave a gradient here, as nothing differentiable made it. */
  get isLeaf(): boolean {
    return this.signature.isLeaf
  }

  /**
   * A promise of the node by which gradients of this tensor go on, as PyTorch's `grad_fn`; null for a leaf.
   * `(await y.gradFn)?.name` is `'AddBackward0'`. Of a graph with more than 10 000 nodes it shows the first ones.
   */
  get gradFn(): Promise<GradNode> | null {
    return this.requiresGrad && !this.isLeaf ? gradientGraph(this) : null
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

  /**
   * Whether the values lie in memory in row-major order, or in that of a memory format:
   * `isContiguous('channels_last')`.
   */
  isContiguous(format: ContiguousFormat | { memoryFormat?: ContiguousFormat } = {}): boolean {
    const { shape, strides } = this.signature
    const name = typeof format === 'string' ? format : format.memoryFormat
    return isContiguous(shape, strides, name ?? 'contiguous_format')
  }

  /** Bytes of one element. */
  elementSize(): number {
    return elementBytes(this.dtype)
  }

  /** Bytes of all elements. */
  get nbytes(): number {
    return this.numel * elementBytes(this.dtype)
  }

  get isCpu(): boolean {
    return this.device === 'cpu'
  }

  get isCuda(): boolean {
    return this.device.startsWith('cuda')
  }

  get isSparse(): boolean {
    return this.layout === 'sparse_coo'
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
  data(): Promise<TypedArray> {
    return this.#read('data()', async (native, id) => {
      const { dtype, bytes } = await native.read(id)
      return typedArray(dtypeName(dtype), bytes)
    })
  }

  /** The one value of a tensor with one element. int64 gives a bigint. */
  item(): Promise<Element> {
    return this.#read('item()', (native, id): Promise<Element> => {
      if (this.numel !== 1) {
        throw new LandmarkDiffusionError(
          'ERR_OP',
          `item() wants a tensor of one element, this one has shape [${this.shape.join(', ')}]`,
        )
      }
      if (itemTypes.has(this.dtype)) return native.item(id)
      return native.read(id).then((value) => elements(value)[0] as Element)
    })
  }

  /** Values as nested arrays; half-precision as numbers, int64 as bigint, complex as { re, im }. */
  tolist(): Promise<Nested> {
    return this.#read('tolist()', async (native, id) => {
      const value = await native.read(id)
      const arrays = value.shape.reduce((product, length) => product * Math.max(length, 1), 1)
      if (arrays > mostListed) {
        throw new LandmarkDiffusionError(
          'ERR_OP',
          `tolist() of shape [${value.shape.join(', ')}] would fill the JavaScript heap; data() gives a typed array`,
        )
      }
      return nest(elements(value), value.shape)
    })
  }

  /** Throws at once inside of a program's function, whose line the error then tells; else all errors reject. */
  #read<T>(what: string, read: (native: Native, id: number) => Promise<T>): Promise<T> {
    refuseInProgram(`${what} was called`, 'Return the tensor, and read it outside.')
    try {
      return read(addon().native, this.id)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Gradients of this tensor for all leaves that it was computed from, added to their `grad`. Queued like
   * an op: where it fails, the next await of this tensor's value, or of `synchronize()`, rejects.
   */
  backward(options: BackwardOptions = {}): void {
    const { gradient: gradTensors, ...rest } = options
    backward(this, { gradTensors, ...rest })
  }

  /**
   * Calls `hook` with the gradient of this tensor in every backward pass that computes it, before it is
   * accumulated or goes on. A tensor that it returns replaces the gradient. As PyTorch's `register_hook`.
   *
   * The hook runs on this thread, is synchronous and awaits nothing; its tensors are freed after it,
   * except what it returns or keeps with `keep()`. An error that it throws fails the backward pass.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a hook that only looks returns nothing
  registerHook(hook: (gradient: Tensor) => Tensor | null | undefined | void): HookHandle {
    return registerHook(this, hook)
  }

  /** Keeps the gradient of a tensor that is no leaf, so that `grad` gives it. As `retain_grad`. */
  retainGrad(): void {
    if (!this.requiresGrad) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        'retainGrad(): this tensor does not require a gradient, so it gets none',
      )
    }
    if (this.isLeaf) return
    addon().native.retainGrad(this.id)
    retained.add(this)
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
    if (value === null) {
      clearGradients([this])
      return
    }
    const { shape, dtype, device } = value
    const same =
      shape.join() === this.shape.join() && dtype === this.dtype && device === this.device
    if (!same) {
      throw new LandmarkDiffusionError(
        'ERR_OP',
        `grad: ${value} was assigned to the gradient of ${this}; shape, dtype and device must be the same`,
      )
    }
    addon().native.setGrad([this.id], value.id)
    setGradientKind(this, value.signature)
  }

  /** @internal What is known of the gradient; null where there can be none. */
  get gradientKind(): { readonly signature: Signature; readonly flags: number } | null {
    const { since, signature } = gradientStates.get(this) ?? { since: this.#made }
    const recorded = lastRecorded > since
    if (signature !== undefined && !recorded) return { signature, flags: 0 }
    if (!this.requiresGrad || !(this.isLeaf || retained.has(this))) return null
    if (lastBackward <= since) return null
    return {
      signature: gradientSignature(
        this.signature,
        this.isLeaf ? 'contract' : 'contiguous',
        recorded,
      ),
      flags:
        (recorded ? gradientFlags.requiresGrad : 0) | (this.isLeaf ? gradientFlags.laidOut : 0),
    }
  }

  /** @internal Whether `gradientKind` is known for sure: a pass may have reached this tensor or not. */
  get gradientIsSure(): boolean {
    const { since, signature } = gradientStates.get(this) ?? { since: this.#made }
    return signature !== undefined || lastBackward <= since
  }

  toString(): string {
    // Messages show whatever a caller gave.
    if (!Tensor.isTensor(this)) return 'an object that only looks like a tensor'
    const extra = this.requiresGrad ? ', requiresGrad' : ''
    return `Tensor(${this.dtype}[${this.shape.join(', ')}], ${this.device}${extra})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Gradients of many tensors by one task; null for those that can have none yet. */
export function gradients(tensors: readonly Tensor[]): (Tensor | null)[] {
  wantTensors(tensors, 'the tensors')
  const ids: number[] = []
  const results: number[] = []
  const flags: number[] = []
  const found = tensors.map((tensor) => {
    const kind = tensor.gradientKind
    if (kind === null) return null
    const id = takeId()
    ids.push(tensor.id)
    results.push(id)
    flags.push(kind.flags)
    return new Tensor(id, kind.signature)
  })
  if (ids.length > 0) addon().native.getGrad(ids, results, flags)
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
  for (const tensor of tensors) setGradientKind(tensor, null)
}

/** @internal Queues a backward pass; the caller has checked its arguments. */
export function queueBackward(
  tensors: readonly Tensor[],
  gradients: readonly (Tensor | null)[],
  options: { retainGraph: boolean; createGraph: boolean; inputs: readonly Tensor[] },
): void {
  const { retainGraph, createGraph, inputs } = options
  const ids = tensors.map((tensor) => tensor.id)
  const seeds = gradients.map((gradient) => gradient?.id ?? 0)
  const leaves = inputs.map((input) => input.id)
  const pass = beginPass()
  gradientVersion++
  lastBackward = pass
  if (createGraph) lastRecorded = pass
  addon().native.backward(ids, seeds, leaves, retainGraph, createGraph, traceId(), pass)
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
