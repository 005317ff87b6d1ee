import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildCache } from '#lib/data/cache.js'
import { decodeImage, resampleToCanvas } from '#lib/data/image.js'
import { Random } from '#lib/data/random.js'

const canvas = { width: 16, height: 20 }
let dir: string
let file: string
let samples: { file: string; width: number; height: number }[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ld-cache-'))
  file = join(dir, 'cache', 'images.bin')
  samples = []
  for (let i = 0; i < 3; i++) await picture(i, i)
})
afterEach(() => rm(dir, { recursive: true }))

async function picture(i: number, seed: number) {
  const random = new Random(seed)
  const data = Uint8Array.from({ length: 64 * 80 }, () => random.int(256))
  const path = join(dir, `${i}.png`)
  await sharp(data, { raw: { width: 64, height: 80, channels: 1 } })
    .png()
    .toFile(path)
  samples[i] = { file: path, width: 64, height: 80 }
}

/** Builds, and tells how many images were decoded to do so. */
async function build() {
  const progress: number[] = []
  const cache = await buildCache(samples, canvas, file, {
    onProgress: ({ done }) => progress.push(done),
  })
  return { cache, decoded: progress.length > 1 }
}

const modified = async () => (await stat(file)).mtimeMs

test('holds what decoding and resampling give, and is read back without decoding', async () => {
  const first = await build()
  expect(first.decoded).toBe(true)
  const again = await build()
  expect(again.decoded).toBe(false)
  for (const { cache } of [first, again])
    for (let i = 0; i < 3; i++) {
      const image = await decodeImage(samples[i]?.file as string)
      expect([...cache.get(i)]).toEqual([...resampleToCanvas(image, canvas)])
    }
  expect(() => again.cache.get(3)).toThrow(RangeError)
})

test('is made anew when an image changes, when the list changes, or when the canvas does', async () => {
  const { cache } = await build()
  const before = [...cache.get(1)]
  await picture(1, 77)
  await utimes(samples[1]?.file as string, 1, 1)
  const changed = await build()
  expect(changed.decoded).toBe(true)
  expect([...changed.cache.get(1)]).not.toEqual(before)
  samples.pop()
  expect((await build()).cache.length).toBe(2)
  const other = await buildCache(samples, { width: 8, height: 10 }, file)
  expect(other.get(0)).toHaveLength(80)
})

test('is made anew when a byte is wrong, when it is cut off, or when it is something else', async () => {
  const { cache } = await build()
  const good = await readFile(file)
  const flipped = Buffer.from(good)
  flipped[good.length - 5]! ^= 1
  for (const bad of [
    flipped,
    good.subarray(0, good.length - 7),
    good.subarray(0, 9),
    Buffer.alloc(0),
    Buffer.from('hello'),
  ]) {
    await writeFile(file, bad)
    const repaired = await build()
    expect(repaired.decoded).toBe(true)
    expect([...repaired.cache.get(2)]).toEqual([...cache.get(2)])
    expect((await readFile(file)).equals(good)).toBe(true)
  }
})

test('leaves no temporary file behind', async () => {
  await build()
  expect(await readdir(join(dir, 'cache'))).toEqual(['images.bin'])
})

test('an image that cannot be decoded is named, and no cache is written', async () => {
  const bytes = await readFile(samples[1]?.file as string)
  await writeFile(samples[1]?.file as string, bytes.subarray(0, 2000))
  await expect(build()).rejects.toMatchObject({
    code: 'ERR_IMAGE',
    message: expect.stringContaining('1.png'),
  })
  await expect(modified()).rejects.toMatchObject({ code: 'ENOENT' })
})

test('an image of another size than listed is refused', async () => {
  samples[0] = { ...(samples[0] as (typeof samples)[0]), width: 65 }
  await expect(build()).rejects.toMatchObject({
    code: 'ERR_IMAGE',
    message: expect.stringContaining('64 x 80'),
  })
})

test('an aborted build rejects with ERR_ABORTED and writes nothing', async () => {
  const controller = new AbortController()
  const building = buildCache(samples, canvas, file, {
    signal: controller.signal,
    onProgress: () => controller.abort(),
  })
  await expect(building).rejects.toMatchObject({ code: 'ERR_ABORTED' })
  await expect(modified()).rejects.toMatchObject({ code: 'ENOENT' })
})

test('where the file cannot be written the images are there all the same, with a warning', async () => {
  const warnings: string[] = []
  const cache = await buildCache(samples, canvas, join(samples[0]?.file as string, 'x'), {
    onWarning: (message) => warnings.push(message),
  })
  expect(cache.length).toBe(3)
  expect(warnings).toHaveLength(1)
})
