/** What numbers a dtype can hold (`torch.finfo`, `torch.iinfo`), and numbers that have names. */
import { LandmarkDiffusionError } from '../errors.js'
import { type DType, dtypeNumber, elementBytes, isFloatingPoint } from './dtype.js'

export const pi = Math.PI
export const e = Math.E
export const inf = Number.POSITIVE_INFINITY
export const nan = Number.NaN

/** Limits of a floating-point dtype. */
export interface FloatInfo {
  readonly dtype: DType
  readonly bits: number
  /** The smallest step from 1. */
  readonly eps: number
  /** The largest finite value, and its negative. */
  readonly max: number
  readonly min: number
  /** The smallest positive normal number. */
  readonly tiny: number
}

/** Limits of an integer dtype; BigInts, as 64 bits do not fit into a number. */
export interface IntegerInfo {
  readonly dtype: DType
  readonly bits: number
  readonly max: bigint
  readonly min: bigint
}

/** Bits of the fraction and of the exponent (IEEE 754; bfloat16 is the upper half of a float32). */
const layouts: Partial<Record<DType, readonly [fraction: number, exponent: number]>> = {
  float16: [10, 5],
  bfloat16: [7, 8],
  float32: [23, 8],
  float64: [52, 11],
}

/** As `torch.finfo`. */
export function finfo(dtype: DType): FloatInfo {
  const layout = layouts[dtype]
  if (layout === undefined) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `finfo() knows ${Object.keys(layouts).join(', ')}, not '${dtype}'; integers have iinfo()`,
    )
  }
  const [fraction, exponent] = layout
  const eps = 2 ** -fraction
  const bias = 2 ** (exponent - 1) - 1
  const max = (2 - eps) * 2 ** bias
  return { dtype, bits: 1 + fraction + exponent, eps, max, min: -max, tiny: 2 ** (1 - bias) }
}

/** As `torch.iinfo`. */
export function iinfo(dtype: DType): IntegerInfo {
  if (!/^u?int(8|16|32|64)$/.test(dtype)) {
    dtypeNumber(dtype)
    const other = isFloatingPoint(dtype) ? '; floating-point dtypes have finfo()' : ''
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `iinfo() knows int8 to int64 and uint8 to uint64, not '${dtype}'${other}`,
    )
  }
  const bits = 8 * elementBytes(dtype)
  const signed = dtype.startsWith('int')
  const values = 2n ** BigInt(bits)
  return signed
    ? { dtype, bits, max: values / 2n - 1n, min: -values / 2n }
    : { dtype, bits, max: values - 1n, min: 0n }
}
