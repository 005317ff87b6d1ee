/** Storages and strided tensors of a PyTorch file, and how they become contiguous bytes. */

import type { LandmarkDiffusionError } from '../../errors.js'
import type { PickleValue } from './pickle.js'
import { countElements, dtypeBytes, type FileDType, TensorData } from './tensor-data.js'
import type { ZipContents } from './zip.js'

type Fail = (reason: string) => LandmarkDiffusionError

/** A storage that the pickle refers to; its bytes are read after the pickle is understood. */
export class Storage {
  readonly key: string
  readonly dtype: FileDType
  readonly elements: number

  constructor(key: string, dtype: FileDType, elements: number) {
    this.key = key
    this.dtype = dtype
    this.elements = elements
  }
}

/** A tensor of the pickle, checked against its storage's declared size, without bytes yet. */
export class Strided {
  readonly storage: Storage
  readonly dtype: FileDType
  /** In elements. */
  readonly offset: number
  readonly shape: readonly number[]
  readonly stride: readonly number[]

  constructor(
    storage: Storage,
    dtype: FileDType,
    offset: number,
    shape: number[],
    stride: number[],
  ) {
    this.storage = storage
    this.dtype = dtype
    this.offset = offset
    this.shape = shape
    this.stride = stride
  }
}

/** Replaces the tensors of a tree by their bytes; shared storages are read once. */
export class Materializer {
  readonly #zip: ZipContents
  readonly #prefix: string
  readonly #fail: Fail
  readonly #storages = new Map<string, Promise<Uint8Array>>()
  readonly #finished = new Map<object, TensorData>()
  #budget: number

  constructor(zip: ZipContents, prefix: string, fail: Fail) {
    this.#zip = zip
    this.#prefix = prefix
    this.#fail = fail
    // Strides of 0 can blow one number up to any size; honest files hardly grow.
    this.#budget = 4 * zip.totalBytes + 2 ** 26
  }

  /** Walks the tree with an explicit stack (a hostile pickle may nest deeper than the call stack is). */
  async fill(root: PickleValue): Promise<PickleValue> {
    if (root instanceof Strided) return this.#tensor(root)
    const seen = new Set<object>()
    const pending: PickleValue[] = [root]
    while (pending.length > 0) {
      const node = pending.pop() as PickleValue
      if (typeof node !== 'object' || node === null || seen.has(node) || ArrayBuffer.isView(node))
        continue
      seen.add(node)
      if (node instanceof Set) {
        for (const item of [...node]) {
          if (item instanceof Strided) {
            node.delete(item)
            node.add(await this.#tensor(item))
          } else pending.push(item)
        }
        continue
      }
      const container = node as Record<string, PickleValue>
      for (const key of Object.keys(container)) {
        const child = container[key] as PickleValue
        if (child instanceof Strided)
          Object.defineProperty(container, key, {
            value: await this.#tensor(child),
            enumerable: true,
            writable: true,
            configurable: true,
          })
        else if (child instanceof Storage)
          throw this.#fail('it holds a bare storage, which is not supported; save tensors')
        else pending.push(child)
      }
    }
    return root
  }

  async #tensor(strided: Strided): Promise<TensorData> {
    const known = this.#finished.get(strided)
    if (known) return known
    const { dtype, shape, storage } = strided
    const bytes = (countElements(shape) as number) * dtypeBytes[dtype]
    this.#budget -= bytes
    if (this.#budget < 0)
      throw this.#fail('its tensors would take far more memory than the file has bytes')
    const source = bytes === 0 ? new Uint8Array() : await this.#storageBytes(storage)
    const tensor = new TensorData(dtype, shape, gather(source, strided, bytes))
    this.#finished.set(strided, tensor)
    return tensor
  }

  #storageBytes(storage: Storage): Promise<Uint8Array> {
    let bytes = this.#storages.get(storage.key)
    if (!bytes) {
      bytes = this.#readStorage(storage)
      this.#storages.set(storage.key, bytes)
    }
    return bytes
  }

  async #readStorage({ key, dtype, elements }: Storage): Promise<Uint8Array> {
    const name = `${this.#prefix}data/${key}`
    if (!this.#zip.names.includes(name))
      throw this.#fail(`it has no '${name}', though its pickle refers to it`)
    const bytes = await this.#zip.read(name)
    if (bytes.byteLength < elements * dtypeBytes[dtype])
      throw this.#fail(
        `its '${name}' has ${bytes.byteLength} bytes, but ${elements * dtypeBytes[dtype]} belong there`,
      )
    return bytes
  }
}

/** Copies a strided tensor into contiguous bytes. All bounds were checked when it was built, or are checked here. */
function gather(
  source: Uint8Array,
  { dtype, shape, stride, offset }: Strided,
  bytes: number,
): Uint8Array {
  const size = dtypeBytes[dtype]
  const target = new Uint8Array(bytes)
  if (bytes === 0) return target
  // The innermost axes that lie contiguously are copied in one piece.
  let axis = shape.length
  let run = 1
  while (axis > 0 && (stride[axis - 1] === run || shape[axis - 1] === 1)) {
    run *= shape[axis - 1] as number
    axis -= 1
  }
  const index = new Array<number>(axis).fill(0)
  for (let written = 0; written < bytes; written += run * size) {
    const start =
      index.reduce((sum, position, i) => sum + position * (stride[i] as number), offset) * size
    target.set(source.subarray(start, start + run * size), written)
    for (let i = axis - 1; i >= 0; i--) {
      index[i] = (index[i] as number) + 1
      if ((index[i] as number) < (shape[i] as number)) break
      index[i] = 0
    }
  }
  return target
}
