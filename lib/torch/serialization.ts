/** Tensors to files and back: safetensors, in one file or several, and PyTorch's `.pt` / `.pth` / Lightning `.ckpt`. */
import { LandmarkDiffusionError } from '../errors.js'
import { fromBuffer } from './create.js'
import type { DType } from './dtype.js'
import { Global, OpaqueObject, type PickleValue } from './files/pickle.js'
import { readPytorch } from './files/pytorch.js'
import { writePytorch } from './files/pytorch-writer.js'
import { readSafetensors, writeSafetensors } from './files/safetensors.js'
import { indexSuffix, readSharded, writeSharded } from './files/sharded.js'
import { dtypeBytes, type FileDType, TensorData } from './files/tensor-data.js'
import { Tensor } from './tensor.js'
import { wantTensor, wantText } from './wants.js'

export interface SaveOptions {
  /** Flat record of texts, kept in the file's header. */
  metadata?: Readonly<Record<string, string>>
  /** Bytes of tensors in one file of several, where `path` ends in `.safetensors.index.json`; default 5e9. */
  maxShardBytes?: number
}

/** Bytes of a tensor as files hold them. Throws ERR_CHECKPOINT for a dtype that no file has. */
async function toFile(tensor: Tensor, name: string): Promise<TensorData> {
  wantTensor(tensor, name)
  const { dtype, shape } = tensor
  if (!Object.hasOwn(dtypeBytes, dtype)) {
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `${name} cannot be saved: files have no ${dtype}. Convert it first.`,
    )
  }
  const values = await tensor.data()
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return new TensorData(dtype as FileDType, shape, bytes)
}

/**
 * Writes tensors as safetensors. The file appears whole or not at all: a crash, a full disk or a kill
 * leaves the previous one as it was. A path that ends in `.safetensors.index.json` gets as many files
 * beside it as `maxShardBytes` asks for; it must not be there yet.
 */
export async function save(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  { metadata = {}, maxShardBytes = 5e9 }: SaveOptions = {},
): Promise<void> {
  wantText(path, 'the path')
  const entries = await Promise.all(
    Object.entries(tensors).map(
      async ([name, tensor]) => [name, await toFile(tensor, `Tensor '${name}'`)] as const,
    ),
  )
  if (path.endsWith(indexSuffix)) await writeSharded(path, entries, { metadata, maxShardBytes })
  else await writeSafetensors(path, entries, metadata)
}

function toTensor({ data, dtype, shape }: TensorData): Tensor {
  return fromBuffer(data, { dtype: dtype as DType, shape })
}

/**
 * The tensors of a safetensors file, or of all files of a `.safetensors.index.json`; the caller frees them.
 * Throws ERR_CHECKPOINT for a damaged one.
 */
export async function load(path: string): Promise<Record<string, Tensor>> {
  wantText(path, 'the path')
  const tensors = path.endsWith(indexSuffix)
    ? await readSharded(path)
    : (await readSafetensors(path)).tensors
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

/** What `savePickle` takes: plain data, with tensors at the leaves. */
export type Saveable =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | readonly Saveable[]
  | ReadonlyMap<string | number, Saveable>
  | { readonly [key: string]: Saveable }

/**
 * Writes what `torch.load(path, weights_only=True)` reads in Python: objects and Maps become dicts, arrays
 * lists, whole numbers ints, Uint8Arrays bytes; tensors are saved as values, without gradients. Atomic as
 * `save`. Throws ERR_CHECKPOINT that names the place of anything else.
 */
export async function savePickle(path: string, value: Saveable): Promise<void> {
  const tensors = new Map<Tensor, TensorData>()
  for (const tensor of tensorsOf(value)) tensors.set(tensor, await toFile(tensor, 'A tensor'))
  await writePytorch(path, value, (leaf) =>
    leaf instanceof Tensor ? tensors.get(leaf) : undefined,
  )
}

function tensorsOf(root: unknown): Set<Tensor> {
  const found = new Set<Tensor>()
  const seen = new Set<unknown>()
  const pending = [root]
  while (pending.length > 0) {
    const value = pending.pop()
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    seen.add(value)
    if (value instanceof Tensor) found.add(value)
    else if (value instanceof Map) pending.push(...value.values())
    else if (!ArrayBuffer.isView(value)) pending.push(...Object.values(value))
  }
  return found
}
