/**
 * PyTorch's own files (.pt, .pth, .ckpt: a zip of one pickle and raw storages) without Python and without executing
 * anything in them. The names that may occur are the ones of torch/_weights_only_unpickler.py that stand for plain data.
 */

import { type FileHandle, open } from 'node:fs/promises'
import { LandmarkDiffusionError } from '../../errors.js'
import { Global, type PickleValue, unpickle } from './pickle.js'
import { Materializer, Storage, Strided } from './pytorch-storage.js'
import { countElements, dtypeBytes, type FileDType } from './tensor-data.js'
import { openZip, type ZipContents } from './zip.js'

export interface ReadPytorchOptions {
  /** What to do with classes that are not known: 'refuse' (default), or 'opaque' to keep them as inert data. */
  readonly unknown?: 'refuse' | 'opaque'
}

const storageTypes: Readonly<Record<string, FileDType>> = {
  'torch.DoubleStorage': 'float64',
  'torch.FloatStorage': 'float32',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
  'torch.ComplexFloatStorage': 'complex64',
  'torch.ComplexDoubleStorage': 'complex128',
  // Its length is in bytes, and the tensors that use it name their own dtype.
  'torch.storage.UntypedStorage': 'uint8',
}

/** A name for each dtype object that a pickle may hold, 'torch.float32' and so on, and their old aliases. */
const dtypeNames: Readonly<Record<string, FileDType>> = {
  ...Object.fromEntries(
    Object.keys(dtypeBytes).map((name) => [`torch.${name}`, name as FileDType]),
  ),
  'torch.double': 'float64',
  'torch.float': 'float32',
  'torch.half': 'float16',
  'torch.long': 'int64',
  'torch.int': 'int32',
  'torch.short': 'int16',
}

/**
 * Reads a file of `torch.save`. Returns what was saved: objects, arrays, numbers, texts, and TensorData for tensors.
 * Throws ERR_CHECKPOINT when it is damaged, of another kind, or refers to anything but tensors and plain data.
 */
export async function readPytorch(
  path: string,
  options: ReadPytorchOptions = {},
): Promise<PickleValue> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw failure(path)(missing ? 'there is no such file' : String(cause))
  }
  try {
    await refuseOtherKinds(file, path)
    const zip = await openZip(file, path)
    return await readArchive(zip, path, options)
  } finally {
    await file.close()
  }
}

type Fail = (reason: string) => LandmarkDiffusionError

function failure(path: string): Fail {
  return (reason) =>
    new LandmarkDiffusionError('ERR_CHECKPOINT', `'${path}' cannot be read: ${reason}.`)
}

async function refuseOtherKinds(file: FileHandle, path: string): Promise<void> {
  const fail = failure(path)
  if (!(await file.stat()).isFile()) throw fail('it is not a file')
  const start = Buffer.alloc(16)
  const { bytesRead } = await file.read(start, 0, 16, 0)
  if (bytesRead < 16) throw fail(`it has only ${bytesRead} bytes; it was cut off`)
  if (start[0] === 0x50 && start[1] === 0x4b) return
  if (start[0] === 0x80)
    throw fail(
      'it is of the kind that PyTorch wrote before version 1.6. Convert it in Python with ' +
        "torch.save(torch.load('old.pt', weights_only=True), 'new.pt')",
    )
  if (start[8] === 0x7b) throw fail('it looks like a safetensors file; read it with torch.load')
  throw fail('it is not a zip file, so PyTorch did not write it, or it is damaged')
}

async function readArchive(
  zip: ZipContents,
  path: string,
  options: ReadPytorchOptions,
): Promise<PickleValue> {
  const fail = failure(path)
  const pickles = zip.names.filter((name) => name === 'data.pkl' || name.endsWith('/data.pkl'))
  const [pickle] = pickles
  if (pickle === undefined || pickles.length > 1)
    throw fail('it has no data.pkl, so it is not a file of torch.save')
  const prefix = pickle.slice(0, -'data.pkl'.length)
  if (zip.names.includes(`${prefix}constants.pkl`))
    throw fail('it is a TorchScript program, not a state_dict. Save model.state_dict() in Python')
  const byteorder = `${prefix}byteorder`
  if (
    zip.names.includes(byteorder) &&
    Buffer.from(await zip.read(byteorder)).toString() !== 'little'
  )
    throw fail('its numbers are in big-endian order, which is not supported')
  const tree = unpickle(await zip.read(pickle), {
    source: path,
    find: (name) => findGlobal(name, fail),
    load: (id) => loadStorage(id, fail),
    unknown: options.unknown ?? 'refuse',
  })
  return new Materializer(zip, prefix, fail).fill(tree)
}

/** The meaning of the few names that stand for data. */
function findGlobal(name: string, fail: Fail): Global | PickleValue | undefined {
  if (Object.hasOwn(storageTypes, name)) return new Global(name, null)
  if (Object.hasOwn(dtypeNames, name)) return dtypeNames[name]
  // Protocol 2 keeps Python 2's name of the module.
  const modern = name.replace(/^__builtin__\./, 'builtins.')
  const construct = Object.hasOwn(constructors, modern) ? constructors[modern] : undefined
  return construct && new Global(name, (args) => construct(args, fail))
}

type Construct = (args: PickleValue[], fail: Fail) => PickleValue

const constructors: Readonly<Record<string, Construct>> = {
  'torch._utils._rebuild_tensor': ([storage, offset, shape, stride], fail) =>
    rebuild(storage, offset, shape, stride, null, fail),
  'torch._utils._rebuild_tensor_v2': ([storage, offset, shape, stride, , , metadata], fail) => {
    refuseMetadata(metadata, fail)
    return rebuild(storage, offset, shape, stride, null, fail)
  },
  'torch._utils._rebuild_tensor_v3': (
    [storage, offset, shape, stride, , , dtype, metadata],
    fail,
  ) => {
    refuseMetadata(metadata, fail)
    if (typeof dtype !== 'string') throw fail('it has a tensor of an unsupported dtype')
    return rebuild(storage, offset, shape, stride, dtype as FileDType, fail)
  },
  'torch._utils._rebuild_parameter': ([data], fail) => requireTensor(data, fail),
  'torch.nn.parameter.Parameter': ([data], fail) => requireTensor(data, fail),
  'torch.Size': ([sizes], fail) => requireList(sizes, fail),
  'torch.device': (args) => args.filter((part) => part !== null).join(':'),
  'collections.OrderedDict': ([pairs], fail) => recordOfPairs(pairs, fail),
  'collections.defaultdict': () => ({}),
  'collections.Counter': ([counts]) => (counts as object) ?? {},
  'builtins.set': ([items], fail) => new Set(items === undefined ? [] : requireList(items, fail)),
  'builtins.frozenset': ([items], fail) =>
    new Set(items === undefined ? [] : requireList(items, fail)),
  'builtins.complex': ([re, im]) => ({ re: re as number, im: im as number }),
  'builtins.bytearray': ([bytes]) => (bytes instanceof Uint8Array ? bytes : new Uint8Array()),
  // How protocol 2 writes bytes: as a text whose characters are the bytes.
  '_codecs.encode': ([text, encoding], fail) => {
    if (typeof text !== 'string' || encoding !== 'latin1')
      throw fail('it has bytes in an unknown encoding')
    return new Uint8Array(Buffer.from(text, 'latin1'))
  },
}

function requireTensor(value: PickleValue | undefined, fail: Fail): PickleValue {
  if (value instanceof Strided) return value
  throw fail('it has a parameter that is no tensor')
}

function requireList(value: PickleValue | undefined, fail: Fail): PickleValue[] {
  if (Array.isArray(value)) return value
  throw fail('its pickle is damaged (no list where one belongs)')
}

function recordOfPairs(pairs: PickleValue | undefined, fail: Fail): PickleValue {
  const record: { [key: string]: PickleValue } = {}
  for (const pair of pairs === undefined ? [] : requireList(pairs, fail)) {
    const [key, value] = requireList(pair, fail)
    Object.defineProperty(record, String(key), {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return record
}

function refuseMetadata(metadata: PickleValue | undefined, fail: Fail): void {
  const flags = Object.entries((metadata ?? {}) as object).filter(([, value]) => value === true)
  if (flags.length > 0)
    throw fail(
      `it has a tensor with the lazy ${flags[0]?.[0]} bit; save tensor.resolve_${flags[0]?.[0]}() in Python`,
    )
}

function loadStorage(id: PickleValue, fail: Fail): Storage {
  const [kind, type, key, , elements] = Array.isArray(id) ? id : []
  const dtype =
    type instanceof Global && Object.hasOwn(storageTypes, type.name)
      ? storageTypes[type.name]
      : undefined
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isSize(elements))
    throw fail('its pickle refers to a storage in an unknown way')
  return new Storage(key, dtype, elements)
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function rebuild(
  storage: PickleValue | undefined,
  offset: PickleValue | undefined,
  shape: PickleValue | undefined,
  stride: PickleValue | undefined,
  ownDtype: FileDType | null,
  fail: Fail,
): PickleValue {
  const isSizes = (value: unknown): value is number[] => Array.isArray(value) && value.every(isSize)
  if (
    !(storage instanceof Storage) ||
    !isSize(offset) ||
    !isSizes(shape) ||
    !isSizes(stride) ||
    shape.length !== stride.length ||
    shape.length > 64
  )
    throw fail('it has a tensor whose storage, shape or stride is not valid')
  const dtype = ownDtype ?? storage.dtype
  if (!Object.hasOwn(dtypeBytes, dtype))
    throw fail(`it has a tensor of the unsupported dtype ${dtype}`)
  const available = Math.floor((storage.elements * dtypeBytes[storage.dtype]) / dtypeBytes[dtype])
  const count = countElements(shape)
  if (count === null) throw fail('it has a tensor whose shape is absurd')
  if (count > 0) {
    // The last element that the strides reach must lie inside the storage.
    const last = shape.reduce(
      (sum, size, axis) => sum + (size - 1) * (stride[axis] as number),
      offset,
    )
    if (!Number.isSafeInteger(last) || last >= available)
      throw fail(`it has a tensor that reaches element ${last} of a storage of ${available}`)
  }
  return new Strided(storage, dtype, offset, [...shape], [...stride])
}
