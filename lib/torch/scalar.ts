/** Numbers whose kind JavaScript cannot tell: 1 from 1.0, and complex ones. */
import { LandmarkDiffusionError } from '../errors.js'
import { type DType, isFloatingPoint } from './dtype.js'

export interface Complex {
  readonly re: number
  readonly im: number
}

/** A number that says whether it is an integer or a float. Made by {@link scalar}. */
export class TypedScalar {
  constructor(
    readonly value: number,
    readonly integer: boolean,
  ) {}
}

/** What a `Scalar` argument takes: a whole number counts as int64, any other as float64. */
export type Scalar = number | boolean | bigint | Complex | TypedScalar

/** A scalar of a stated kind: `scalar(2, 'float64')` promotes an integer tensor, plain `2` does not. */
export function scalar(value: number, dtype: DType): TypedScalar {
  const integer = !isFloatingPoint(dtype)
  if (integer && !Number.isSafeInteger(value)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `scalar(${value}, '${dtype}'): not a whole number`,
    )
  }
  return new TypedScalar(value, integer)
}

export function isComplexNumber(value: unknown): value is Complex {
  if (typeof value !== 'object' || value === null) return false
  const { re, im } = value as Partial<Complex>
  return typeof re === 'number' && typeof im === 'number'
}
