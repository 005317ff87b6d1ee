/** A tensor in another dtype, on another device or in another memory format: `to`, and PyTorch's short names. */
import { LandmarkDiffusionError } from '../errors.js'
import { call } from './call.js'
import type { DType } from './dtype.js'
import type { MemoryFormat } from './parameters.js'
import { Tensor } from './tensor.js'

export interface Target {
  dtype?: DType
  device?: string
  memoryFormat?: MemoryFormat
  /** A new tensor also where nothing changes. */
  copy?: boolean
}

/**
 * The tensor with another dtype, device or memory format, or with those of another; itself where nothing changes:
 * `to('float64')`, `to('cuda:0')`, `to('cuda:0', 'float16')`, `to(other)`, `to({ device, dtype, memoryFormat, copy })`.
 */
export function to(
  source: Tensor,
  target: DType | string | Target | Tensor,
  dtypeThere?: DType,
): Tensor {
  const {
    dtype = source.dtype,
    device = source.device,
    memoryFormat,
    copy = false,
  } = fromTarget(target, dtypeThere)
  const same = dtype === source.dtype && device === source.device
  if (same && !copy && memoryFormat === undefined) return source
  return call('aten::to.device', [source, device, dtype], { copy, memoryFormat }) as Tensor
}

function fromTarget(target: DType | string | Target | Tensor, dtype?: DType): Target {
  if (typeof target === 'string') {
    if (!/^(cpu|cuda|meta)(:\d+)?$/.test(target)) return { dtype: target as DType }
    return dtype === undefined ? { device: target } : { device: target, dtype }
  }
  if (target instanceof Tensor) return { dtype: target.dtype, device: target.device }
  if (typeof target === 'object' && target !== null && !Array.isArray(target)) return target
  throw new LandmarkDiffusionError(
    'ERR_SCHEMA',
    'to() takes a dtype, a device, a tensor, or { dtype, device, memoryFormat, copy }',
  )
}

const shortNames = {
  float: 'float32',
  double: 'float64',
  half: 'float16',
  bfloat16: 'bfloat16',
  long: 'int64',
  int: 'int32',
  short: 'int16',
  char: 'int8',
  byte: 'uint8',
  bool: 'bool',
  cfloat: 'complex64',
  cdouble: 'complex128',
} as const satisfies Record<string, DType>

type ShortNames = { [name in keyof typeof shortNames]: () => Tensor }

declare module './tensor.js' {
  interface Tensor extends ShortNames {
    /** This tensor with another dtype, device or memory format; itself where nothing changes. */
    to(target: DType | string | Target | Tensor, dtype?: DType): Tensor
    cpu(): Tensor
    /** On `cuda:0`, or on the device with this number. */
    cuda(index?: number): Tensor
  }
}

function define(name: string, value: (this: Tensor, ...args: never[]) => Tensor): void {
  Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true })
}

define('to', function (target: Parameters<typeof to>[1], dtype?: DType) {
  return to(this, target, dtype)
})
define('cpu', function () {
  return to(this, 'cpu')
})
define('cuda', function (index = 0) {
  return to(this, `cuda:${index}`)
})
for (const [name, dtype] of Object.entries(shortNames)) {
  define(name, function () {
    return to(this, dtype)
  })
}
