/** PyTorch's own files, as torch.save writes them: a zip of one pickle and the tensors' raw bytes. */
import yazl from 'yazl'
import { contiguousStrides } from '../signature.js'
import { writeAtomically, writeFully } from './atomic-write.js'
import { PickleWriter, writeValue } from './pickle-writer.js'
import type { FileDType, TensorData } from './tensor-data.js'

const storageNames: Readonly<Record<FileDType, string>> = {
  float64: 'DoubleStorage',
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
  complex64: 'ComplexFloatStorage',
  complex128: 'ComplexDoubleStorage',
}

/** The same bytes for the same data, whenever it is saved. */
const zipOptions = {
  compress: false,
  mtime: new Date(1980, 0, 1),
  forceDosTimestamp: true,
} as const

/**
 * Writes plain data with tensors at the leaves, so that `torch.load(path, weights_only=True)` gives it back:
 * objects and Maps as dicts, arrays as lists, whole numbers as ints, Uint8Arrays as bytes. `tensorOf` gives
 * the data of what stands for a tensor, the same for the same. Atomic.
 */
export async function writePytorch(
  path: string,
  value: unknown,
  tensorOf: (leaf: object) => TensorData | undefined,
): Promise<void> {
  const storages = new Map<TensorData, string>()
  const writer = new PickleWriter()
  writeValue(writer, value, (leaf) => {
    const tensor = tensorOf(leaf)
    if (tensor !== undefined) {
      const key = storages.get(tensor) ?? String(storages.size)
      storages.set(tensor, key)
      writeTensor(writer, tensor, key)
      return true
    }
    if (!(leaf instanceof Uint8Array)) return false
    // Protocol 2 has no bytes: they are a text whose characters are the bytes.
    writer.global('_codecs', 'encode')
    const text = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString('latin1')
    writer.tuple([() => writer.text(text), () => writer.text('latin1')])
    writer.reduce()
    return true
  })
  const zip = new yazl.ZipFile()
  const add = (name: string, bytes: Uint8Array) =>
    zip.addBuffer(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      `archive/${name}`,
      zipOptions,
    )
  add('data.pkl', writer.finish())
  add('byteorder', Buffer.from('little'))
  for (const [{ data }, key] of storages) add(`data/${key}`, data)
  add('version', Buffer.from('3\n'))
  zip.end()
  await writeAtomically(path, async (file) => {
    for await (const chunk of zip.outputStream) await writeFully(file, chunk as Buffer)
  })
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)`. */
function writeTensor(writer: PickleWriter, { dtype, shape, data }: TensorData, key: string): void {
  const elements = shape.reduce((product, size) => product * size, 1)
  const ints = (values: readonly number[]) => () =>
    writer.tuple(values.map((value) => () => writer.int(BigInt(value))))
  writer.global('torch._utils', '_rebuild_tensor_v2')
  writer.tuple([
    () => {
      writer.tuple([
        () => writer.text('storage'),
        () => writer.global('torch', storageNames[dtype]),
        () => writer.text(key),
        () => writer.text('cpu'),
        () => writer.int(BigInt(data.byteLength === 0 ? 0 : elements)),
      ])
      writer.persistent()
    },
    () => writer.int(0n),
    ints(shape),
    ints(contiguousStrides(shape)),
    () => writer.boolean(false),
    () => {
      writer.global('collections', 'OrderedDict')
      writer.tuple([])
      writer.reduce()
    },
  ])
  writer.reduce()
}
