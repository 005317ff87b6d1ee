/**
 * Signatures: all that is known of a tensor without its values, interned, so that two tensors of one
 * kind share one object and the shape memo compares small integers (architecture: "signature memo").
 */
import { type DType, dtypeName } from './dtype.js'
import type { TensorInfo } from './native.js'

export interface Signature {
  readonly id: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly dtype: DType
  readonly dtypeNumber: number
  readonly device: string
  readonly requiresGrad: boolean
  readonly traits: number
}

/** More kinds than any program has at a time; beyond it, the old ones are forgotten, not wrong. */
const most = 1 << 16

const interned = new Map<string, Signature>()
let nextId = 1

/** The one signature object for what `info` says. */
export function intern(info: TensorInfo): Signature {
  const key = `${info.shape.join()};${info.strides.join()};${info.dtype};${info.device};${info.requiresGrad};${info.traits}`
  const known = interned.get(key)
  if (known !== undefined) return known
  if (interned.size >= most) interned.clear()
  const signature: Signature = Object.freeze({
    id: nextId++,
    shape: Object.freeze([...info.shape]),
    strides: Object.freeze([...info.strides]),
    dtype: dtypeName(info.dtype),
    dtypeNumber: info.dtype,
    device: info.device,
    requiresGrad: info.requiresGrad,
    traits: info.traits,
  })
  interned.set(key, signature)
  return signature
}

/** Strides of a contiguous tensor of this shape, in elements. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= Math.max(shape[i] as number, 1)
  }
  return strides
}
