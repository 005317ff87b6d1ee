/** `torch.unique`: the different values of a tensor. A promise, as nobody knows how many there are before it ran. */
import { call } from './call.js'
import type { Tensor } from './tensor.js'

export interface UniqueOptions {
  /** In ascending order; default true. */
  sorted?: boolean
  /** Different slices along this dimension instead of different elements; default null. */
  dim?: number | null
}

/** The different values, where each element of `input` is among them, and how often each comes. */
export interface Unique {
  readonly values: Tensor
  /** int64, of the input's shape, or [length of `dim`]. */
  readonly inverse: Tensor
  /** int64, [number of values]. */
  readonly counts: Tensor
}

/** The different values of `input`, ascending: [count], or with `dim` of the input's other lengths. */
export async function unique(input: Tensor, options: UniqueOptions = {}): Promise<Tensor> {
  const { values, inverse, counts } = await uniqueWithCounts(input, options)
  inverse.dispose()
  counts.dispose()
  return values
}

/** As `torch.unique(..., return_inverse=True, return_counts=True)`. */
export async function uniqueWithCounts(
  input: Tensor,
  { sorted = true, dim = null }: UniqueOptions = {},
): Promise<Unique> {
  const found =
    dim === null
      ? call('aten::_unique2', [input, sorted, true, true])
      : call('aten::unique_dim', [input, dim, sorted, true, true])
  const [values, inverse, counts] = (await found) as [Tensor, Tensor, Tensor]
  return { values, inverse, counts }
}
