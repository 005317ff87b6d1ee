/** Reading and writing safetensors, against files that the reference implementation wrote, and against damage. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  parseSafetensors,
  readSafetensors,
  serializeSafetensors,
  writeSafetensors,
} from '#lib/torch/files/safetensors.js'

const fixture = fileURLToPath(new URL('../../fixtures/state.safetensors', import.meta.url))
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A file made by hand from a header and data, without the writer under test. */
function file(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.byteLength))
  return Buffer.concat([length, json, data])
}

const floats = (...values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer)
const one = { dtype: 'F32', shape: [1], data_offsets: [0, 4] }

describe('reading', () => {
  test('a file of the reference implementation has the bytes that its header places', async () => {
    const bytes = await readFile(fixture)
    const headerBytes = Number(bytes.readBigUInt64LE(0))
    const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString())
    const { tensors } = await readSafetensors(fixture)
    const names = Object.keys(header).filter((name) => name !== '__metadata__')
    expect([...tensors.keys()].sort()).toEqual(names.sort())
    for (const name of names) {
      const [begin, end] = header[name].data_offsets
      const tensor = tensors.get(name)
      expect(tensor?.shape).toEqual(header[name].shape)
      expect(Buffer.from(tensor?.data ?? [])).toEqual(
        bytes.subarray(8 + headerBytes + begin, 8 + headerBytes + end),
      )
    }
  })

  test('tensors start at addresses over which a typed array can be laid', () => {
    const header = {
      byte: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
      wide: { dtype: 'F64', shape: [1], data_offsets: [1, 9] },
    }
    const data = Buffer.concat([Buffer.of(7), Buffer.from(new Float64Array([1.5]).buffer)])
    const { tensors } = parseSafetensors(file(header, data))
    const wide = tensors.get('wide')?.data as Uint8Array
    expect(new Float64Array(wide.buffer, wide.byteOffset, 1)[0]).toBe(1.5)
  })

  test("a tensor named '__proto__' is a tensor like any other", () => {
    const { tensors } = parseSafetensors(file(`{"__proto__":${JSON.stringify(one)}}`, floats(3)))
    expect([...tensors.keys()]).toEqual(['__proto__'])
  })
})

describe('damage is refused with ERR_CHECKPOINT', () => {
  const refused: Record<string, [Uint8Array, RegExp]> = {
    'a header length of 2^63': [
      Buffer.concat([Buffer.from('0000000000000080', 'hex'), Buffer.alloc(8)]),
      /header length .* absurd/,
    ],
    'a header longer than the file': [
      Buffer.concat([Buffer.from('ffff000000000000', 'hex'), Buffer.from('{}')]),
      /cut off/,
    ],
    'a header that is no JSON': [file('{"a":'), /no JSON/],
    'a header that is a list': [file([]), /no JSON object/],
    'an unknown dtype': [file({ a: { ...one, dtype: 'F7' } }, floats(1)), /unsupported dtype "F7"/],
    'a dtype that is a property of every object': [
      file({ a: { ...one, dtype: 'constructor' } }, floats(1)),
      /unsupported dtype/,
    ],
    'a negative dimension': [file({ a: { ...one, shape: [-1] } }, floats(1)), /shape/],
    'a shape whose product overflows': [
      file({ a: { ...one, shape: [2 ** 31, 2 ** 31] } }, floats(1)),
      /shape/,
    ],
    'offsets that do not fit the shape': [
      file({ a: { ...one, shape: [2] } }, floats(1)),
      /needs 8 bytes .* has 4/,
    ],
    'offsets beyond the end': [
      file({ a: one, b: { ...one, data_offsets: [4, 8] } }, floats(1)),
      /4 bytes of tensors are missing/,
    ],
    'overlapping tensors': [
      file({ a: one, b: { ...one, data_offsets: [2, 6] } }, floats(1, 2)),
      /overlap/,
    ],
    'a hole between tensors': [
      file({ a: one, b: { ...one, data_offsets: [8, 12] } }, floats(1, 2, 3)),
      /hole/,
    ],
    'bytes after the last tensor': [file({ a: one }, floats(1, 2)), /4 bytes too many/],
    'metadata that is no text': [file({ __metadata__: { a: 1 } }), /metadata 'a'/],
    'a zip file': [Buffer.from('504b0304000000000000000000', 'hex'), /torch\.loadPickle/],
  }
  for (const [what, [bytes, message]] of Object.entries(refused))
    test(what, () => {
      expect(() => parseSafetensors(bytes)).toThrow(message)
      expect(() => parseSafetensors(bytes)).toThrow(
        expect.objectContaining({ code: 'ERR_CHECKPOINT' }),
      )
    })

  test('a file cut at any 64th byte', async () => {
    const bytes = await readFile(fixture)
    for (let length = 0; length < bytes.byteLength; length += 64) {
      const path = join(folder, 'cut.safetensors')
      await writeFile(path, bytes.subarray(0, length))
      await expect(readSafetensors(path)).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_CHECKPOINT' }),
      )
    }
  })

  test('no flipped bit of the header crashes the reader', async () => {
    const bytes = await readFile(fixture)
    const headerBytes = 8 + Number(bytes.readBigUInt64LE(0))
    for (let bit = 0; bit < 8 * headerBytes; bit += 5) {
      const copy = Buffer.from(bytes)
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
      try {
        parseSafetensors(copy)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_CHECKPOINT' })
      }
    }
  })

  test('a file that does not exist is named', async () => {
    await expect(readSafetensors(join(folder, 'none'))).rejects.toThrow(/none' .*no such file/)
  })
})

describe('writing', () => {
  const entries = [
    ['flags', { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) }],
    ['weight', { dtype: 'float32', shape: [2, 1], data: floats(1, -2) }],
    ['7', { dtype: 'int64', shape: [], data: new Uint8Array(new BigInt64Array([5n]).buffer) }],
    ['empty', { dtype: 'float64', shape: [0, 4], data: new Uint8Array() }],
  ] as const

  test('what was written is what is read, with its metadata', async () => {
    const path = join(folder, 'out.safetensors')
    await writeSafetensors(path, entries, { step: '12' })
    const { tensors, metadata } = await readSafetensors(path)
    expect(metadata).toEqual({ step: '12' })
    expect(tensors.size).toBe(entries.length)
    for (const [name, { dtype, shape, data }] of entries)
      expect(tensors.get(name)).toMatchObject({ dtype, shape, data })
  })

  test('the header is padded so that the data starts at a multiple of 8', () => {
    const bytes = Buffer.from(serializeSafetensors(entries))
    expect(Number(bytes.readBigUInt64LE(0)) % 8).toBe(0)
  })

  test('wrong sizes, unknown dtypes and equal names are refused before anything is written', () => {
    const bad = (dtype: string, shape: number[], data: Uint8Array) => () =>
      serializeSafetensors([['a', { dtype, shape, data }]])
    expect(bad('float32', [2], floats(1))).toThrow(/cannot have 4 bytes/)
    expect(bad('complex128', [1], new Uint8Array(16))).toThrow(/complex128/)
    expect(() => serializeSafetensors([entries[0], entries[0]])).toThrow(/same name/)
  })
})
