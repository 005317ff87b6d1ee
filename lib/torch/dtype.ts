/** Element types by PyTorch's names, libtorch's numbers for them, and the typed array that holds each. */
import { LandmarkDiffusionError } from '../errors.js'

const numbers = {
  uint8: 0,
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  float16: 5,
  float32: 6,
  float64: 7,
  complex32: 8,
  complex64: 9,
  complex128: 10,
  bool: 11,
  qint8: 12,
  quint8: 13,
  qint32: 14,
  bfloat16: 15,
  quint4x2: 16,
  quint2x4: 17,
  bits1x8: 18,
  bits2x4: 19,
  bits4x2: 20,
  bits8: 21,
  bits16: 22,
  float8_e5m2: 23,
  float8_e4m3fn: 24,
  float8_e5m2fnuz: 25,
  float8_e4m3fnuz: 26,
  uint16: 27,
  uint32: 28,
  uint64: 29,
  uint1: 30,
  uint2: 31,
  uint3: 32,
  uint4: 33,
  uint5: 34,
  uint6: 35,
  uint7: 36,
  int1: 37,
  int2: 38,
  int3: 39,
  int4: 40,
  int5: 41,
  int6: 42,
  int7: 43,
  float8_e8m0fnu: 44,
  float4_e2m1fn_x2: 45,
} as const

/** `'float32'`, `'int64'`, ...: PyTorch's names without `torch.`. */
export type DType = keyof typeof numbers

/** What `Tensor.data()` gives: half-precision values as their 16 bits, complex ones as pairs. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray

const names = new Map<number, DType>(
  Object.entries(numbers).map(([name, number]) => [number, name as DType]),
)

/** libtorch's ScalarType number of a dtype. Throws ERR_SCHEMA for a name that is none. */
export function dtypeNumber(dtype: unknown): number {
  if (typeof dtype === 'string' && Object.hasOwn(numbers, dtype)) return numbers[dtype as DType]
  const shown = typeof dtype === 'string' ? `'${dtype.slice(0, 40)}'` : `a ${typeof dtype}`
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    `${shown} is no dtype; there are ${Object.keys(numbers).join(', ')}`,
  )
}

/** The name of libtorch's ScalarType number. */
export function dtypeName(number: number): DType {
  const name = names.get(number)
  if (name === undefined) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `libtorch's dtype number ${number} has no name here`,
    )
  }
  return name
}

export function isFloatingPoint(dtype: DType): boolean {
  return dtype.startsWith('float') || dtype === 'bfloat16'
}

export function isComplex(dtype: DType): boolean {
  return dtype.startsWith('complex')
}

/** Bytes of one element: the number in the name is its bits. */
export function elementBytes(dtype: DType): number {
  return Number(/\d+/.exec(dtype)?.[0] ?? 8) / 8
}

/** A typed array over `buffer`, whole. */
export function typedArray(dtype: DType, buffer: ArrayBuffer): TypedArray {
  switch (dtype) {
    case 'float32':
    case 'complex64':
      return new Float32Array(buffer)
    case 'float64':
    case 'complex128':
      return new Float64Array(buffer)
    case 'int64':
      return new BigInt64Array(buffer)
    case 'uint64':
      return new BigUint64Array(buffer)
    case 'int32':
      return new Int32Array(buffer)
    case 'uint32':
      return new Uint32Array(buffer)
    case 'int16':
      return new Int16Array(buffer)
    case 'float16':
    case 'bfloat16':
    case 'uint16':
    case 'complex32':
      return new Uint16Array(buffer)
    case 'int8':
      return new Int8Array(buffer)
    default:
      return new Uint8Array(buffer)
  }
}

/** The dtype of a typed array's elements. */
export function dtypeOf(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'float32'
  if (array instanceof Float64Array) return 'float64'
  if (array instanceof BigInt64Array) return 'int64'
  if (array instanceof BigUint64Array) return 'uint64'
  if (array instanceof Int32Array) return 'int32'
  if (array instanceof Uint32Array) return 'uint32'
  if (array instanceof Int16Array) return 'int16'
  if (array instanceof Uint16Array) return 'uint16'
  if (array instanceof Int8Array) return 'int8'
  return 'uint8'
}

/** The value that 16 bits stand for in IEEE half precision. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const word = new Uint32Array(1)
const asFloat = new Float32Array(word.buffer)

/** The value that 16 bits stand for in bfloat16: the upper half of a float32. */
export function bfloatToNumber(bits: number): number {
  word[0] = bits << 16
  return asFloat[0] as number
}
