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
  readonly isLeaf: boolean
}

/** More kinds than any program has at a time; beyond it, the old ones are forgotten, not wrong. */
const most = 1 << 15

const interned = new Map<string, Signature>()
let nextId = 1

/** The one signature object for what `info` says. */
export function intern(info: TensorInfo): Signature {
  const key = `${info.shape.join()};${info.strides.join()};${info.dtype};${info.device};${info.requiresGrad};${info.isLeaf};${info.traits}`
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
    isLeaf: info.isLeaf,
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

/** Whether the elements fill one piece of memory, each place once. As PyTorch tells it. */
function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  const dims = shape.map((_, i) => i).filter((i) => (shape[i] as number) > 1)
  dims.sort((a, b) => (strides[a] as number) - (strides[b] as number))
  let wanted = 1
  return dims.every((i) => {
    const fits = strides[i] === wanted
    wanted *= shape[i] as number
    return fits
  })
}

/** The part of a signature's traits that is the layout. */
const layoutBits = 0xff

/** The signature of a gradient: strides by PyTorch's layout contract for `.grad`, or contiguous ones. */
export function gradientSignature(
  of: Signature,
  layout: 'contract' | 'contiguous',
  requiresGrad: boolean,
): Signature {
  const { shape, dtypeNumber: dtype, device } = of
  const traits = of.traits & layoutBits
  const kept = layout === 'contract' && isDense(shape, of.strides)
  return intern({
    defined: true,
    shape,
    strides: kept ? of.strides : contiguousStrides(shape),
    dtype,
    device,
    requiresGrad,
    isLeaf: !requiresGrad,
    traits,
  })
}
