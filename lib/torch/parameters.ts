/** The types by which generated/ writes the parameters of operators. */
import type { Tensor } from './tensor.js'

export type Layout =
  | 'strided'
  | 'sparse_coo'
  | 'sparse_csr'
  | 'sparse_csc'
  | 'sparse_bsr'
  | 'sparse_bsc'
export type MemoryFormat =
  | 'contiguous_format'
  | 'preserve_format'
  | 'channels_last'
  | 'channels_last_3d'

export type Numbers = readonly number[]
/** One number stands for that many of them, as in PyTorch: `padding: 1` is `padding: [1, 1]`. */
export type NumberOrNumbers = number | Numbers
export type Tensors = readonly Tensor[]

/** Some or all of the parameters `P` in order, then `O`, an object with the rest by name. */
export type WithOptions<P extends readonly unknown[], O> =
  | [...P, options: O]
  | (P extends readonly [...infer Front, unknown] ? WithOptions<Front, O> : never)

/** Parameters after the required ones: any number of the optional `P` in order, and `O` where it is wanted. */
export type Tail<P extends readonly unknown[], O> = Partial<P> | WithOptions<P, O>
