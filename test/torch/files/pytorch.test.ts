/** PyTorch's files, against what PyTorch itself wrote, and against hostile ones. */

import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OpaqueObject, type PickleValue } from '#lib/torch/files/pickle.js'
import { readPytorch } from '#lib/torch/files/pytorch.js'
import { readSafetensors } from '#lib/torch/files/safetensors.js'
import type { TensorData } from '#lib/torch/files/tensor-data.js'

const at = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const shared = (name: string): string => at(`../../fixtures/${name}`)
const own = (name: string): string => at(`./fixtures/${name}`)

type Tree = Record<string, PickleValue>
const refusal = (message: RegExp) => ({
  code: 'ERR_CHECKPOINT',
  message: expect.stringMatching(message),
})
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pytorch-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function expectSameTensors(actual: Tree, safetensors: string): Promise<void> {
  const { tensors } = await readSafetensors(safetensors)
  expect(Object.keys(actual).sort()).toEqual([...tensors.keys()].sort())
  for (const [name, { dtype, shape, data }] of tensors)
    expect(actual[name], name).toMatchObject({ dtype, shape, data })
}

/** Elements of a float32 tensor. */
function values(tensor: PickleValue | undefined): number[] {
  const { data } = tensor as TensorData
  return [...new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)]
}

describe('files that PyTorch wrote', () => {
  test('a state_dict of every dtype has the bytes that safetensors has', async () => {
    await expectSameTensors(
      (await readPytorch(shared('state.pt'))) as Tree,
      shared('state.safetensors'),
    )
  })

  test('a Lightning checkpoint has its weights under state_dict and its numbers beside them', async () => {
    const checkpoint = (await readPytorch(shared('lightning.ckpt'))) as Tree
    expect(checkpoint.epoch).toBe(3)
    const { tensors } = await readSafetensors(shared('lightning.safetensors'))
    const weights = checkpoint.state_dict as Tree
    expect(Object.keys(weights)).toHaveLength(tensors.size)
    for (const [name, { data }] of tensors) {
      const key = Object.hasOwn(weights, name) ? name : `model.${name.replace(/^weights\./, '')}`
      expect((weights[key] as TensorData).data).toEqual(data)
    }
  })

  test('views of one storage are gathered into the order of their shape', async () => {
    const views = (await readPytorch(own('views.pt'))) as Tree
    // base = arange(24) as [2, 3, 4]
    const base = (i: number, j: number, k: number): number => 12 * i + 4 * j + k
    const permuted: number[] = []
    for (let k = 0; k < 4; k++)
      for (let i = 0; i < 2; i++) for (let j = 0; j < 3; j++) permuted.push(base(i, j, k))
    expect((views.permuted as TensorData).shape).toEqual([4, 2, 3])
    expect(values(views.permuted)).toEqual(permuted)
    expect(values(views.stepped)).toEqual([1, 3, 9, 11, 13, 15, 21, 23])
    expect(values(views.expanded)).toEqual([0, 0, 0])
    expect(values(views.second)).toEqual(Array.from({ length: 12 }, (_, index) => 12 + index))
  })

  for (const protocol of [2, 3, 4, 5])
    test(`plain data in pickle protocol ${protocol} keeps its values`, async () => {
      const plain = (await readPytorch(own(`plain-${protocol}.pt`))) as Tree
      expect(plain).toMatchObject({
        integers: [
          0,
          255,
          65535,
          -1,
          2 ** 31 - 1,
          -(2 ** 31),
          2 ** 40,
          -(2 ** 40),
          2n ** 80n,
          -(2n ** 80n),
        ],
        floats: [0.5, -1e300, Number.POSITIVE_INFINITY],
        texts: ['', 'ä€𝄞', 'x'.repeat(300)],
        nothing: null,
        flags: [true, false],
        unique: new Set([3]),
        size: [2, 3],
        dtype: 'bfloat16',
        device: 'cuda:1',
        counts: { a: 2 },
      })
      expect(Buffer.from(plain.data as Uint8Array).toString('hex')).toBe('00ff'.repeat(150))
      expect(values(((plain.state as Tree)[0] as Tree).step)).toEqual([3])
    })
})

describe('files that must be refused', () => {
  test('a pickle that would run a command is refused by the name of the command, and nothing runs', async () => {
    await expect(readPytorch(own('os-system.pt'))).rejects.toMatchObject(refusal(/posix\.system/))
    expect(existsSync('attacked')).toBe(false)
  })

  test('with { unknown: "opaque" } the command is a description, and the tensors are there', async () => {
    const tree = (await readPytorch(own('os-system.pt'), { unknown: 'opaque' })) as Tree
    expect(values(tree.weight)).toEqual([1, 1])
    expect(tree.attack).toBeInstanceOf(OpaqueObject)
    expect(tree.attack).toMatchObject({ className: 'posix.system', args: ['touch attacked'] })
    expect(existsSync('attacked')).toBe(false)
  })

  test('objects of other packages are refused by name, or kept as descriptions', async () => {
    await expect(readPytorch(own('namespace.ckpt'))).rejects.toMatchObject(
      refusal(/argparse\.Namespace/),
    )
    const tree = (await readPytorch(own('namespace.ckpt'), { unknown: 'opaque' })) as Tree
    expect(values((tree.state_dict as Tree).w)).toEqual([1, 1])
    expect(tree.hyper_parameters).toMatchObject({
      className: 'argparse.Namespace',
      state: [{ lr: 0.1 }],
    })
  })

  test('a file from before PyTorch 1.6 is refused with the way to convert it', async () => {
    await expect(readPytorch(own('legacy.pt'))).rejects.toMatchObject(
      refusal(/before version 1\.6.*torch\.save/),
    )
  })

  test('a TorchScript program and a safetensors file are recognised', async () => {
    await expect(readPytorch(own('torchscript.pt'))).rejects.toMatchObject(refusal(/TorchScript/))
    await expect(readPytorch(shared('state.safetensors'))).rejects.toMatchObject(
      refusal(/torch\.load/),
    )
  })

  test('a file cut at any 64th byte', async () => {
    const bytes = await readFile(shared('state.pt'))
    const path = join(folder, 'cut.pt')
    for (let length = 0; length < bytes.byteLength; length += 64) {
      await writeFile(path, bytes.subarray(0, length))
      await expect(readPytorch(path), `${length} bytes`).rejects.toMatchObject({
        code: 'ERR_CHECKPOINT',
      })
    }
  })

  test('a table of contents at an offset that no file has, which may not end the process', async () => {
    const bytes = await readFile(own('plain-2.pt'))
    const locator = bytes.indexOf('PK\x06\x07')
    expect(locator).toBeGreaterThan(0)
    const path = join(folder, 'offset.pt')
    for (const offset of [2n ** 57n, 2n ** 53n, 2n ** 64n - 1n, BigInt(bytes.length)]) {
      bytes.writeBigUInt64LE(offset, locator + 8)
      await writeFile(path, bytes)
      await expect(readPytorch(path)).rejects.toMatchObject(refusal(/outside of the file|integer/i))
    }
  })

  test('a flipped bit is either refused or changes no tensor', async () => {
    const bytes = await readFile(shared('state.pt'))
    const path = join(folder, 'flipped.pt')
    for (let bit = 3; bit < 8 * bytes.byteLength; bit += 61) {
      const copy = Buffer.from(bytes)
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
      await writeFile(path, copy)
      const tree = await readPytorch(path).catch((error: unknown) => {
        expect(error, `bit ${bit}`).toMatchObject({ code: 'ERR_CHECKPOINT' })
        return null
      })
      if (tree !== null) await expectSameTensors(tree as Tree, shared('state.safetensors'))
    }
  })
})

interface Part {
  readonly name: string
  readonly data: Uint8Array
  readonly deflate?: boolean
}

/** A zip file made by hand, so that hostile ones can be made. */
function zip(parts: readonly Part[]): Buffer {
  const locals: Buffer[] = []
  const centrals: Buffer[] = []
  let offset = 0
  for (const { name, data, deflate } of parts) {
    const stored = deflate ? deflateRawSync(data) : Buffer.from(data)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(deflate ? 8 : 0, 4)
    fields.writeUInt32LE(crc32(data), 10)
    fields.writeUInt32LE(stored.byteLength, 14)
    fields.writeUInt32LE(data.byteLength, 18)
    fields.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([
      Buffer.from('PK\x03\x04', 'latin1'),
      fields,
      Buffer.from(name),
      stored,
    ])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    centrals.push(
      Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, tail, Buffer.from(name)]),
    )
    locals.push(local)
    offset += local.byteLength
  }
  const directory = Buffer.concat(centrals)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(parts.length, 8)
  end.writeUInt16LE(parts.length, 10)
  end.writeUInt32LE(directory.byteLength, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}

/** A pickle, protocol 2, of one float32 tensor over storage '0'. */
function tensorPickle(options: {
  offset?: number
  size: number
  stride: number
  elements: number
  key?: string
}): Buffer {
  const int = (value: number): Buffer => {
    const bytes = Buffer.alloc(5, 'J')
    bytes.writeInt32LE(value, 1)
    return bytes
  }
  const text = (value: string): Buffer => {
    const head = Buffer.alloc(5, 'X')
    head.writeUInt32LE(value.length, 1)
    return Buffer.concat([head, Buffer.from(value)])
  }
  return Buffer.concat([
    Buffer.from('\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((', 'latin1'),
    text('storage'),
    Buffer.from('ctorch\nFloatStorage\n'),
    text(options.key ?? '0'),
    text('cpu'),
    int(options.elements),
    Buffer.from('tQ'),
    int(options.offset ?? 0),
    int(options.size),
    Buffer.from([0x85]),
    int(options.stride),
    Buffer.from([0x85, 0x89]),
    Buffer.from('}tR.'),
  ])
}

async function readParts(parts: readonly Part[]): Promise<PickleValue> {
  const path = join(folder, 'made.pt')
  await writeFile(path, zip(parts))
  return readPytorch(path)
}

const storage = { name: 'a/data/0', data: new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer) }

describe('archives made by hand', () => {
  test('an honest one is read', async () => {
    const pickle = tensorPickle({ size: 2, stride: 2, elements: 4 })
    expect(values(await readParts([{ name: 'a/data.pkl', data: pickle }, storage]))).toEqual([1, 3])
  })

  const hostile: Record<string, [readonly Part[], RegExp]> = {
    'a tensor that reaches beyond its storage': [
      [{ name: 'a/data.pkl', data: tensorPickle({ size: 3, stride: 2, elements: 4 }) }, storage],
      /reaches element 4 of a storage of 4/,
    ],
    'a negative offset': [
      [
        { name: 'a/data.pkl', data: tensorPickle({ offset: -1, size: 1, stride: 1, elements: 4 }) },
        storage,
      ],
      /not valid/,
    ],
    'a negative stride': [
      [
        { name: 'a/data.pkl', data: tensorPickle({ offset: 3, size: 2, stride: -1, elements: 4 }) },
        storage,
      ],
      /not valid/,
    ],
    'a storage with fewer bytes than declared': [
      [{ name: 'a/data.pkl', data: tensorPickle({ size: 5, stride: 1, elements: 5 }) }, storage],
      /has 16 bytes, but 20 belong there/,
    ],
    'a storage that is not there': [
      [
        { name: 'a/data.pkl', data: tensorPickle({ size: 1, stride: 1, elements: 4, key: '7' }) },
        storage,
      ],
      /no 'a\/data\/7'/,
    ],
    'one number blown up to gigabytes by a stride of 0': [
      [
        { name: 'a/data.pkl', data: tensorPickle({ size: 2 ** 30, stride: 0, elements: 4 }) },
        storage,
      ],
      /far more memory/,
    ],
    'a zip bomb': [
      [{ name: 'a/data.pkl', data: new Uint8Array(2 ** 26), deflate: true }],
      /unpack to far more/,
    ],
    'two pickles': [
      [
        { name: 'a/data.pkl', data: Buffer.from('N.') },
        { name: 'b/data.pkl', data: Buffer.from('N.') },
      ],
      /no data\.pkl/,
    ],
    'a text opcode that claims 4 GB': [
      [{ name: 'a/data.pkl', data: Buffer.from('8002580000ffff', 'hex') }],
      /cut off/,
    ],
    'an opcode that imports by extension registry': [
      [{ name: 'a/data.pkl', data: Buffer.from('80028201', 'hex') }],
      /opcode 0x82/,
    ],
    'a call of eval': [
      [
        {
          name: 'a/data.pkl',
          data: Buffer.from('\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.', 'latin1'),
        },
      ],
      /__builtin__\.eval/,
    ],
    'big-endian numbers': [
      [
        { name: 'a/data.pkl', data: tensorPickle({ size: 1, stride: 1, elements: 4 }) },
        { name: 'a/byteorder', data: Buffer.from('big') },
        storage,
      ],
      /big-endian/,
    ],
  }
  for (const [what, [parts, message]] of Object.entries(hostile))
    test(`${what} is refused`, async () => {
      await expect(readParts(parts)).rejects.toMatchObject(refusal(message))
    })

  test('a hundred thousand nested lists neither crash nor hang', async () => {
    const depth = 100_000
    const data = Buffer.concat([
      Buffer.from('8002', 'hex'),
      Buffer.alloc(depth, ']'),
      Buffer.alloc(depth - 1, 'a'),
      Buffer.from('.'),
    ])
    let node = (await readParts([{ name: 'a/data.pkl', data }])) as PickleValue[]
    let found = 1
    while (node.length > 0) {
      node = node[0] as PickleValue[]
      found += 1
    }
    expect(found).toBe(depth)
  })

  test("a key named '__proto__' stays a key", async () => {
    const data = Buffer.from('\x80\x02}X\x09\x00\x00\x00__proto__}s.', 'latin1')
    const tree = (await readParts([{ name: 'a/data.pkl', data }])) as Tree
    expect(Object.keys(tree)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(tree)).toBe(Object.prototype)
  })
})
