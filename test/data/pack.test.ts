/** Data sets packed into one file, and files that are none. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeImage } from '#lib/data/image.js'
import { readIsbi } from '#lib/data/isbi2015.js'
import { packDataset, unpackDataset } from '#lib/data/pack.js'
import { synthesize } from '#lib/data/synthetic/index.js'
import { fitCanvas } from '#lib/landmarks/geometry.js'

let folder: string
const canvas = { width: 64, height: 80 }
const original = () => join(folder, 'original')
const packFile = () => join(folder, 'small.pack')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landmark-diffusion-pack-'))
  await synthesize(original(), { count: 6, size: { width: 240, height: 300 }, seed: 3 })
  await packDataset(original(), packFile(), { canvas, limit: 100_000 })
})
afterAll(() => rm(folder, { recursive: true }))

describe('a packed data set', () => {
  test('has the points where the originals have them, in millimetres', async () => {
    const dir = join(folder, 'unpacked')
    expect(await unpackDataset(packFile(), dir)).toEqual({ images: 6 })
    for (const truth of ['senior', 'junior'] as const) {
      const [before, after] = await Promise.all(
        [original(), dir].map((root) => readIsbi(root, { split: 'all', truth })),
      )
      expect(after?.map(({ id }) => id)).toEqual(before?.map(({ id }) => id))
      for (const [i, sample] of (before ?? []).entries()) {
        const packed = after?.[i]
        expect(packed).toMatchObject(canvas)
        const map = fitCanvas(sample, canvas)
        const scale = sample.pixelSize?.[0] as number
        for (const [n, point] of (sample.points ?? []).entries()) {
          const [x, y] = map.apply(point as [number, number])
          const [px, py] = (packed?.points ?? [])[n] as [number, number]
          expect(px).toBeCloseTo(x, 9)
          expect(py).toBeCloseTo(y, 9)
          // Half a pixel of the original is the zero of both scales.
          const millimetres = (px + 0.5) * (packed?.pixelSize?.[0] as number)
          expect(millimetres).toBeCloseTo(((point?.[0] as number) + 0.5) * scale, 6)
        }
      }
    }
  })

  test('has the greys of the canvas, but for what JPEG takes', async () => {
    const dir = join(folder, 'again')
    await unpackDataset(packFile(), dir)
    const [sample] = await readIsbi(original(), { split: 'all', truth: null })
    const [packed] = await readIsbi(dir, { split: 'all', truth: null })
    const { CanvasPool } = await import('#lib/data/canvas-pool.js')
    const pool = new CanvasPool(1)
    const { pixels } = await pool.fit(sample?.file as string, canvas)
    await pool.destroy()
    const grey = await decodeImage(packed?.file as string)
    const squares = pixels.reduce((sum, p, i) => sum + (p - (grey.data[i] as number)) ** 2, 0)
    expect(Math.sqrt(squares / pixels.length)).toBeLessThan(6)
  })

  test('takes the quality that the limit allows', async () => {
    const file = join(folder, 'limited.pack')
    const free = await packDataset(original(), file, { canvas, limit: 10_000_000 })
    const tight = await packDataset(original(), file, { canvas, limit: free.bytes - 1 })
    expect(tight.quality).toBeLessThan(free.quality)
    expect(tight.bytes).toBeLessThan(free.bytes)
    await expect(packDataset(original(), file, { canvas, limit: 1000 })).rejects.toThrow(
      /do not fit into 1000 bytes/,
    )
  })

  test('is no data set itself: who gives it as one is told how to unpack it', async () => {
    await expect(readIsbi(packFile(), { split: 'all', truth: 'mean' })).rejects.toThrow(
      /a file, not the folder of a data set.*dataset unpack/,
    )
  })

  test('is not written over a folder that holds something', async () => {
    await expect(unpackDataset(packFile(), original())).rejects.toThrow(/is not empty/)
  })
})

describe('a file that is no pack', () => {
  const cases: [string, (bytes: Buffer) => Buffer, RegExp][] = [
    ['is empty', () => Buffer.alloc(0), /no pack/],
    ['has another beginning', (bytes) => Buffer.concat([Buffer.from('x'), bytes]), /no pack/],
    ['is cut off in its header', (bytes) => bytes.subarray(0, 40), /cut off/],
    ['is cut off in its images', (bytes) => bytes.subarray(0, bytes.length - 5), /bytes of images/],
    [
      'has a flipped bit',
      (bytes) => {
        const copy = Buffer.from(bytes)
        copy[copy.length - 9] = (copy.at(-9) as number) ^ 4
        return copy
      },
      /checksum/,
    ],
    [
      'names a file outside of its folder',
      (bytes) => {
        const text = bytes.toString('latin1').replace('"id":"001"', '"id":"../"')
        return Buffer.from(text, 'latin1')
      },
      /damaged header/,
    ],
    [
      'claims a header of 4 GB',
      (bytes) => {
        const copy = Buffer.from(bytes)
        copy.writeUInt32LE(0xffffffff, 8)
        return copy
      },
      /cut off/,
    ],
  ]
  test.each(cases)('%s', async (name, change, message) => {
    const file = join(folder, 'damaged.pack')
    await writeFile(file, change(await readFile(packFile())))
    const into = join(folder, name.replaceAll(' ', '-'))
    await expect(unpackDataset(file, into)).rejects.toThrow(message)
  })
})
