/** Tensors to files and back: safetensors both ways, PyTorch's `.pt` / `.pth` / Lightning `.ckpt` in. */
import { fromBuffer } from './create.js'
import type { DType } from './dtype.js'
import { Global, OpaqueObject, type PickleValue } from './files/pickle.js'
import { readPytorch } from './files/pytorch.js'
import { readSafetensors, writeSafetensors } from './files/safetensors.js'
import { TensorData } from './files/tensor-data.js'
import type { Tensor } from './tensor.js'

export interface SaveOptions {
  /** Flat record of texts, kept in the file's header. */
  metadata?: Readonly<Record<string, string>>
}

/**
 * Writes tensors as safetensors. The file appears whole or not at all: a crash, a full disk or a kill
 * leaves the previous one as it was.
 */
export async function save(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  options: SaveOptions = {},
): Promise<void> {
  const entries = await Promise.all(
    Object.entries(tensors).map(async ([name, tensor]) => {
      const { dtype, shape } = tensor
      const values = await tensor.data()
      const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      return [name, { dtype, shape, data }] as const
    }),
  )
  await writeSafetensors(path, entries, options.metadata)
}

function toTensor({ data, dtype, shape }: TensorData): Tensor {
  return fromBuffer(data, { dtype: dtype as DType, shape })
}

/** The tensors of a safetensors file; the caller frees them. Throws ERR_CHECKPOINT for a damaged one. */
export async function load(path: string): Promise<Record<string, Tensor>> {
  const { tensors } = await readSafetensors(path)
  return Object.fromEntries([...tensors].map(([name, data]) => [name, toTensor(data)]))
}

/** What `loadPickle` gives: plain data, with tensors at the leaves. */
export type Loaded =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | Loaded[]
  | { [key: string]: Loaded }

function wrap(value: PickleValue): Loaded {
  if (value instanceof TensorData) return toTensor(value)
  if (value instanceof Global || value instanceof OpaqueObject) return String(value)
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(wrap)
  if (value instanceof Set) return [...value].map(wrap)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(entries.map(([key, element]) => [String(key), wrap(element)]))
}

/**
 * What `torch.save` wrote, without executing anything in it: only tensors and plain containers are built.
 * Throws ERR_CHECKPOINT that names anything else.
 */
export async function loadPickle(path: string): Promise<Loaded> {
  return wrap(await readPytorch(path))
}
