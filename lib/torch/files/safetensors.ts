/**
 * The safetensors format (https://github.com/huggingface/safetensors): 8 bytes header length, a JSON header, raw
 * tensor bytes. Everything in the header is checked before it is believed.
 */

import { type FileHandle, open } from 'node:fs/promises'
import { LandmarkDiffusionError } from '../../errors.js'
import { writeAtomically, writeFully } from './atomic-write.js'
import {
  alignedSlice,
  countElements,
  dtypeBytes,
  type FileDType,
  TensorData,
} from './tensor-data.js'

const dtypeOfName: Readonly<Record<string, FileDType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
  C64: 'complex64',
}
const nameOfDtype = new Map(Object.entries(dtypeOfName).map(([name, dtype]) => [dtype, name]))

/** The reference implementation's limit; a larger number is a damaged file, not a header. */
const maxHeaderBytes = 100_000_000

export interface Safetensors {
  readonly tensors: Map<string, TensorData>
  readonly metadata: Record<string, string>
}

/** Tensors to write: anything with a dtype, a shape and contiguous bytes. */
export type SafetensorsEntries = Iterable<
  readonly [
    string,
    { readonly dtype: string; readonly shape: readonly number[]; readonly data: Uint8Array },
  ]
>

interface HeaderEntry {
  readonly name: string
  readonly dtype: FileDType
  readonly shape: readonly number[]
  /** Offsets into the data part. */
  readonly begin: number
  readonly end: number
}

/** Reads a whole file. Throws ERR_CHECKPOINT, with the reason, when it is not a complete and valid one. */
export async function readSafetensors(path: string): Promise<Safetensors> {
  return withHeader(path, async ({ entries, metadata, dataBytes, dataStart }, file) =>
    collect(entries, metadata, await readExactly(file, dataStart, dataBytes)),
  )
}

/** The metadata alone, however large the file is. Throws ERR_CHECKPOINT as `readSafetensors` does, for a file that was cut off too. */
export async function readSafetensorsMetadata(path: string): Promise<Record<string, string>> {
  return withHeader(path, async ({ metadata }) => metadata)
}

interface Header {
  readonly entries: HeaderEntry[]
  readonly metadata: Record<string, string>
  readonly dataStart: number
  readonly dataBytes: number
}

async function withHeader<T>(
  path: string,
  use: (header: Header, file: FileHandle) => Promise<T>,
): Promise<T> {
  const fail = failure(path)
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (cause) {
    throw fail(
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(cause),
    )
  }
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw fail('it is not a file')
    const start = await readExactly(file, 0, Math.min(8, stats.size))
    const headerBytes = checkHeaderLength(start, stats.size, fail)
    const header = await readExactly(file, 8, headerBytes)
    const dataStart = 8 + headerBytes
    const dataBytes = stats.size - dataStart
    return await use({ ...parseHeader(header, dataBytes, fail), dataStart, dataBytes }, file)
  } finally {
    await file.close()
  }
}

/** Parses a file that is in memory already. `source` names it in errors. */
export function parseSafetensors(bytes: Uint8Array, source = 'the buffer'): Safetensors {
  const fail = failure(source)
  const headerBytes = checkHeaderLength(bytes.subarray(0, 8), bytes.byteLength, fail)
  const body = bytes.subarray(8 + headerBytes)
  const { entries, metadata } = parseHeader(
    bytes.subarray(8, 8 + headerBytes),
    body.byteLength,
    fail,
  )
  return collect(entries, metadata, body)
}

/**
 * Writes a file atomically: a crash, a full disk or a kill leaves the previous one as it was.
 * `metadata` is a flat record of strings, as the format has it.
 */
export async function writeSafetensors(
  path: string,
  entries: SafetensorsEntries,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { head, chunks } = layOut(entries, metadata, failure(path))
  await writeAtomically(path, async (file) => {
    await writeFully(file, head)
    for (const chunk of chunks) await writeFully(file, chunk)
  })
}

/** The bytes of a file, in memory. */
export function serializeSafetensors(
  entries: SafetensorsEntries,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { head, chunks } = layOut(entries, metadata, failure('the buffer'))
  return Buffer.concat([head, ...chunks])
}

type Fail = (reason: string) => LandmarkDiffusionError

function failure(source: string): Fail {
  return (reason) =>
    new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `'${source}' is not a usable safetensors file: ${reason}.`,
    )
}

async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array> {
  // A slice of Node's shared pool would start at any address; typed arrays need aligned ones.
  const bytes = new Uint8Array(length)
  let offset = 0
  while (offset < length) {
    const wanted = Math.min(2 ** 30, length - offset)
    const { bytesRead } = await file.read(bytes, offset, wanted, position + offset)
    if (bytesRead === 0)
      throw new LandmarkDiffusionError(
        'ERR_CHECKPOINT',
        'The file became shorter while it was read.',
      )
    offset += bytesRead
  }
  return bytes
}

function checkHeaderLength(start: Uint8Array, fileBytes: number, fail: Fail): number {
  if (fileBytes < 10) throw fail(`it has only ${fileBytes} bytes; it was cut off`)
  if (start[0] === 0x50 && start[1] === 0x4b)
    throw fail('it is a zip file, such as PyTorch writes; read it with torch.loadPickle')
  const length = Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true))
  if (length > maxHeaderBytes)
    throw fail(`its header length ${length} is absurd; it is damaged or another format`)
  if (length < 2) throw fail('its header is empty')
  if (length > fileBytes - 8)
    throw fail(`it has ${fileBytes} bytes, fewer than its header alone needs; it was cut off`)
  return length
}

function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  fail: Fail,
): { entries: HeaderEntry[]; metadata: Record<string, string> } {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw fail('its header is no JSON; it is damaged')
  }
  if (!isRecord(header)) throw fail('its header is no JSON object')
  const entries: HeaderEntry[] = []
  let metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = parseMetadata(value, fail)
    else entries.push(parseEntry(name, value, fail))
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let expected = 0
  for (const { name, begin, end } of entries) {
    if (begin !== expected)
      throw fail(
        `the bytes of tensor '${name}' ${begin < expected ? 'overlap another one' : 'leave a hole before them'}`,
      )
    expected = end
  }
  if (expected > dataBytes)
    throw fail(`${expected - dataBytes} bytes of tensors are missing at its end; it was cut off`)
  if (expected < dataBytes) throw fail(`it has ${dataBytes - expected} bytes too many at its end`)
  return { entries, metadata }
}

function parseMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(value)) throw fail('its metadata is no JSON object')
  const metadata: Record<string, string> = {}
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw fail(`its metadata '${key}' is no text`)
    Object.defineProperty(metadata, key, {
      value: text,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return metadata
}

function parseEntry(name: string, value: unknown, fail: Fail): HeaderEntry {
  if (!isRecord(value)) throw fail(`its entry '${name}' is no JSON object`)
  const dtype =
    typeof value.dtype === 'string' && Object.hasOwn(dtypeOfName, value.dtype)
      ? dtypeOfName[value.dtype]
      : undefined
  if (dtype === undefined)
    throw fail(
      `tensor '${name}' has the unsupported dtype ${JSON.stringify(value.dtype)}; supported are ${Object.keys(dtypeOfName).join(', ')}`,
    )
  const count = Array.isArray(value.shape) ? countElements(value.shape) : null
  if (count === null) throw fail(`tensor '${name}' has no valid shape`)
  const [begin, end, ...rest] = Array.isArray(value.data_offsets)
    ? (value.data_offsets as unknown[])
    : []
  if (!isOffset(begin) || !isOffset(end) || end < begin || rest.length > 0)
    throw fail(`tensor '${name}' has no valid data_offsets`)
  const needed = count * dtypeBytes[dtype]
  if (end - begin !== needed)
    throw fail(
      `tensor '${name}' needs ${needed} bytes by its shape and dtype, but has ${end - begin}`,
    )
  return { name, dtype, shape: value.shape as number[], begin, end }
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function collect(
  entries: readonly HeaderEntry[],
  metadata: Record<string, string>,
  data: Uint8Array,
): Safetensors {
  const tensors = new Map<string, TensorData>()
  for (const { name, dtype, shape, begin, end } of entries)
    tensors.set(name, new TensorData(dtype, shape, alignedSlice(data, begin, end)))
  return { tensors, metadata }
}

/** The header's bytes and the tensors' bytes in file order. */
function layOut(
  entries: SafetensorsEntries,
  metadata: Readonly<Record<string, string>>,
  fail: Fail,
): { head: Uint8Array; chunks: Uint8Array[] } {
  const checked = [...entries].map(([name, { dtype, shape, data }]) => {
    const code = nameOfDtype.get(dtype as FileDType)
    const count = countElements(shape)
    if (name === '__metadata__') throw fail("no tensor can be named '__metadata__'")
    if (code === undefined)
      throw fail(`tensor '${name}' has dtype ${dtype}, which the format does not have`)
    const size = dtypeBytes[dtype as FileDType]
    if (count === null || count * size !== data.byteLength)
      throw fail(
        `tensor '${name}' of shape [${shape.join(', ')}] and dtype ${dtype} cannot have ${data.byteLength} bytes`,
      )
    return { name, code, shape, data, size }
  })
  const names = new Set(checked.map(({ name }) => name))
  if (names.size < checked.length) throw fail('two tensors have the same name')
  // Wide elements first: then every tensor is aligned to its element size without padding.
  checked.sort((a, b) => b.size - a.size)
  let offset = 0
  const fields = checked.map(({ name, code, shape, data }): [string, unknown] => {
    const begin = offset
    offset += data.byteLength
    return [name, { dtype: code, shape, data_offsets: [begin, offset] }]
  })
  const pairs =
    Object.keys(metadata).length > 0
      ? [['__metadata__', metadata] as [string, unknown], ...fields]
      : fields
  // Built by hand because Object.fromEntries would reorder names that look like numbers.
  const text = `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
  const json = Buffer.from(text)
  const padded = Math.ceil(json.byteLength / 8) * 8
  const head = Buffer.alloc(8 + padded, ' ')
  head.writeBigUInt64LE(BigInt(padded), 0)
  json.copy(head, 8)
  return { head, chunks: checked.map(({ data }) => data) }
}
