/** Making tensors from values. PyTorch's factories (zeros, randn, ...) are in generated/. */
import { LandmarkDiffusionError } from '../errors.js'
import { addon } from './addon.js'
import { call } from './call.js'
import { to } from './conversion.js'
import { canonicalDevice, isCuda, withDevice } from './device.js'
import {
  type DType,
  dtypeNumber,
  dtypeOf,
  elementBytes,
  isComplex,
  type TypedArray,
} from './dtype.js'
import { takeId } from './handles.js'
import type { Complex } from './scalar.js'
import { contiguousStrides, intern } from './signature.js'
import { Tensor } from './tensor.js'

export interface TensorOptions {
  dtype?: DType
  device?: string
  requiresGrad?: boolean
}

export type Values = Element | readonly Values[]

/** A tensor of a shape over the bytes of `source`, which are copied; on `cpu` or a CUDA device. */
function fromBytes(
  source: Uint8Array,
  shape: readonly number[],
  dtype: DType,
  { device = 'cpu', requiresGrad = false }: { device?: string; requiresGrad?: boolean },
): Tensor {
  const number = dtypeNumber(dtype)
  const id = takeId()
  withDevice('tensor()', () =>
    addon().native.fromData(id, source, shape, number, device, requiresGrad),
  )
  const strides = contiguousStrides(shape)
  return new Tensor(
    id,
    intern({
      defined: true,
      shape,
      strides,
      dtype: number,
      device: canonicalDevice(device),
      requiresGrad,
      traits: 0,
      isLeaf: true,
    }),
  )
}

function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** More dimensions than libtorch's kernels take. */
const mostDimensions = 64

function shapeOf(values: Values): number[] {
  const shape: number[] = []
  let level: Values = values
  while (Array.isArray(level)) {
    if (shape.length === mostDimensions) throw noValues()
    shape.push(level.length)
    if (level.length === 0) break
    level = level[0] as Values
  }
  return shape
}

function flatten(values: Values, shape: readonly number[], depth: number, out: Element[]): void {
  if (!Array.isArray(values)) {
    if (depth !== shape.length) throw ragged()
    out.push(element(values))
    return
  }
  if (depth >= shape.length || values.length !== shape[depth]) throw ragged()
  for (const value of values) flatten(value as Values, shape, depth + 1, out)
}

type Element = number | bigint | boolean | Complex

/** Read once: what is checked is what is used, also of an object with getters. */
function element(value: unknown): Element {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return value
  }
  const { re, im } = Object(value) as Partial<Complex>
  if (typeof re !== 'number' || typeof im !== 'number') throw noValues()
  return { re, im }
}

function ragged(): LandmarkDiffusionError {
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    'tensor(): the nested arrays have different lengths at one depth; a tensor is rectangular',
  )
}

function noValues(): LandmarkDiffusionError {
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `tensor() takes numbers, booleans, BigInts and complex numbers { re, im }, alone or in arrays nested at most ${mostDimensions} deep`,
  )
}

function noInteger(value: unknown): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_SCHEMA', `tensor(): ${value} is no int64`)
}

function isShape(shape: readonly number[]): boolean {
  return (
    Array.isArray(shape) &&
    shape.length <= mostDimensions &&
    shape.every((length) => Number.isSafeInteger(length) && length >= 0)
  )
}

interface Packed {
  array: TypedArray
  /** What the elements of `array` mean. */
  dtype: DType
}

/** Values as the typed array that is nearest to `wanted`. */
function pack(values: readonly Element[], wanted: DType | undefined): Packed {
  if (values.length > 0 && values.every((value) => typeof value === 'boolean')) {
    return { array: Uint8Array.from(values as boolean[], Number), dtype: 'bool' }
  }
  if (values.some((value) => typeof value === 'object')) {
    return packComplex(values, wanted)
  }
  if (values.some((value) => typeof value === 'bigint') || wanted === 'int64') {
    const fraction = values.find((value) => typeof value === 'number' && !Number.isInteger(value))
    if (fraction !== undefined) throw noInteger(fraction)
    const array = BigInt64Array.from(values as (number | bigint)[], (value) => BigInt(value))
    return { array, dtype: 'int64' }
  }
  const numbers = values as number[]
  // In float64 on the way to anything else: float32 would round an int32.
  return wanted === undefined || wanted === 'float32'
    ? { array: Float32Array.from(numbers), dtype: 'float32' }
    : { array: Float64Array.from(numbers), dtype: 'float64' }
}

function packComplex(values: readonly Element[], wanted: DType = 'complex64'): Packed {
  if (!isComplex(wanted)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `tensor(): complex numbers are no ${wanted}; use 'complex64' or 'complex128'`,
    )
  }
  const parts = values.flatMap((value) =>
    typeof value === 'object' ? [value.re, value.im] : [Number(value), 0],
  )
  return wanted === 'complex128'
    ? { array: Float64Array.from(parts), dtype: 'complex128' }
    : { array: Float32Array.from(parts), dtype: 'complex64' }
}

/**
 * A tensor of values: nested arrays, one number, or a typed array with `shape`. The dtype is that of the
 * typed array; numbers give float32, BigInts int64, booleans bool, complex numbers `{ re, im }` complex64, unless
 * `dtype` says otherwise (PyTorch makes int64 of whole numbers; JavaScript does not tell 1 from 1.0).
 */
export function tensor(
  values: Values | TypedArray,
  options: TensorOptions & { shape?: readonly number[] } = {},
): Tensor {
  const {
    array,
    shape,
    dtype: source,
  } = ArrayBuffer.isView(values)
    ? ofTypedArray(values as TypedArray, options)
    : ofNested(values, options)
  const { dtype = source, device = 'cpu', requiresGrad = false } = options
  checkLength(array, shape, source)
  // To a GPU the bytes go as they are; what libtorch knows of other devices, it knows of tensors.
  const on = isCuda(device) ? device : 'cpu'
  const moved = source !== dtype || device !== on
  const made = fromBytes(bytesOf(array), shape, source, {
    device: on,
    requiresGrad: requiresGrad && !moved,
  })
  if (!moved) return made
  const result = to(made, { dtype, device })
  if (result !== made) made.dispose()
  return requiresGrad ? (call('aten::requires_grad_', [result]) as Tensor) : result
}

type Source = Packed & { shape: readonly number[] }

/** The bits of a half-precision or complex tensor come as the typed array that data() gives. */
function ofTypedArray(
  array: TypedArray,
  { dtype, shape = [array.length] }: { dtype?: DType; shape?: readonly number[] },
): Source {
  const own = dtypeOf(array)
  return { array, shape, dtype: dtype !== undefined && carries(array, dtype) ? dtype : own }
}

function ofNested(
  values: Values,
  { dtype, shape }: { dtype?: DType; shape?: readonly number[] },
): Source {
  const found = shapeOf(values)
  const flat: Element[] = []
  flatten(values, found, 0, flat)
  return { ...pack(flat, dtype), shape: shape ?? found }
}

function carries(array: TypedArray, dtype: DType): boolean {
  if (array instanceof Uint16Array) return dtype === 'float16' || dtype === 'bfloat16'
  if (array instanceof Float32Array) return dtype === 'complex64'
  if (array instanceof Float64Array) return dtype === 'complex128'
  return array instanceof Uint8Array && dtype === 'bool'
}

function checkLength(array: TypedArray, shape: readonly number[], dtype: DType): void {
  if (!isShape(shape)) throw noShape('tensor', shape)
  const parts = isComplex(dtype) ? 2 : 1
  const wanted = shape.reduce((product, length) => product * length, parts)
  if (wanted !== array.length) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `tensor(): shape [${shape.join(', ')}] wants ${wanted} values, got ${array.length}`,
    )
  }
}

function noShape(name: string, shape: readonly number[]): LandmarkDiffusionError {
  const shown = Array.isArray(shape)
    ? `[${shape.slice(0, 8).map(String).join(', ')}]`
    : typeof shape
  return new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${name}(): a shape is an array of at most ${mostDimensions} whole numbers, got ${shown}`,
  )
}

/** A tensor of raw little-endian bytes, which are copied. Without a shape: [as many as there are]. */
export function fromBuffer(
  bytes: Uint8Array | ArrayBuffer,
  options: { dtype: DType; shape?: readonly number[]; device?: string; requiresGrad?: boolean },
): Tensor {
  if (!(bytes instanceof Uint8Array || bytes instanceof ArrayBuffer)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      'fromBuffer() takes a Uint8Array or an ArrayBuffer',
    )
  }
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  const { dtype, device = 'cpu', requiresGrad = false } = options
  const shape = options.shape ?? [Math.floor(view.byteLength / Math.max(1, elementBytes(dtype)))]
  if (!isShape(shape)) throw noShape('fromBuffer', shape)
  const on = isCuda(device) ? device : 'cpu'
  let made: Tensor
  try {
    made = fromBytes(view, shape, dtype, {
      device: on,
      requiresGrad: requiresGrad && device === on,
    })
  } catch (cause) {
    if (cause instanceof LandmarkDiffusionError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LandmarkDiffusionError('ERR_SCHEMA', `fromBuffer(): ${reason}`, { cause })
  }
  if (device === on) return made
  const moved = to(made, { device })
  made.dispose()
  return requiresGrad ? (call('aten::requires_grad_', [moved]) as Tensor) : moved
}

/** A tensor as it is, or what `tensor` makes of values; converted where `dtype` or `device` say so. */
export function asTensor(
  values: Tensor | Values | TypedArray,
  { dtype, device }: { dtype?: DType; device?: string } = {},
): Tensor {
  const target = { ...(dtype && { dtype }), ...(device && { device }) }
  return values instanceof Tensor ? to(values, target) : tensor(values, target)
}

export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor
}
