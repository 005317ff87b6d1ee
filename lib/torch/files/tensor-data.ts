/** Tensors as files hold them: dtype, shape and contiguous little-endian bytes. Knows no libtorch. */

/** Element types that a file can hold, by PyTorch's names, with their sizes in bytes. */
export const dtypeBytes = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
  complex64: 8,
  complex128: 16,
} as const

export type FileDType = keyof typeof dtypeBytes

/** One tensor of a file. `data` holds product(shape) elements in C order, little endian, and starts aligned. */
export class TensorData {
  readonly dtype: FileDType
  readonly shape: readonly number[]
  readonly data: Uint8Array

  constructor(dtype: FileDType, shape: readonly number[], data: Uint8Array) {
    this.dtype = dtype
    this.shape = shape
    this.data = data
  }
}

/** Product of a shape, or null when a dimension is no whole number >= 0 or the product is not exact. */
export function countElements(shape: readonly unknown[]): number | null {
  let count = 1
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return null
    count *= size
    if (!Number.isSafeInteger(count)) return null
  }
  return count
}

/** A view at `begin`, or a copy where a typed array could not be laid over that address. */
export function alignedSlice(bytes: Uint8Array, begin: number, end: number): Uint8Array {
  const aligned = (bytes.byteOffset + begin) % 8 === 0
  const view = bytes.subarray(begin, end)
  // Not slice(): a Buffer is a Uint8Array too, and its slice() copies nothing.
  return aligned ? view : new Uint8Array(view)
}
