/** In which order values lie in memory: row-major, or with the channels last. */
import { LandmarkDiffusionError } from '../errors.js'
import { contiguousStrides } from './signature.js'

export type ContiguousFormat = 'contiguous_format' | 'channels_last' | 'channels_last_3d'

/** Dimensions from the slowest to the fastest. */
const orders: Readonly<Record<ContiguousFormat, readonly number[] | null>> = {
  contiguous_format: null,
  channels_last: [0, 2, 3, 1],
  channels_last_3d: [0, 2, 3, 4, 1],
}

/** Whether strides are those of a format; dimensions of length 1 may have any. */
export function isContiguous(
  shape: readonly number[],
  strides: readonly number[],
  format: ContiguousFormat,
): boolean {
  if (!Object.hasOwn(orders, format)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `'${format}' is no memory format; there are ${Object.keys(orders).join(', ')}`,
    )
  }
  const order = orders[format] ?? shape.map((_, dim) => dim)
  if (strides.length !== shape.length || order.length !== shape.length) return false
  if (shape.includes(0)) return true
  const wanted = contiguousStrides(order.map((dim) => shape[dim] as number))
  return order.every((dim, i) => shape[dim] === 1 || strides[dim] === wanted[i])
}
