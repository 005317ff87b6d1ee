/** Images on the device against the pixels that they were made of. */
import { expect, test } from 'vitest'
import { ImageCache } from '#lib/data/cache.js'
import type { Sample } from '#lib/data/isbi2015.js'
import { Loader } from '#lib/data/loader.js'
import { ResidentImages } from '#lib/data/resident.js'
import * as torch from '#lib/torch/index.js'

const canvas = { width: 4, height: 5 }
const pixels = Uint8Array.from({ length: 7 * 20 }, (_, i) => (i * 37) % 256)
const cache = new ImageCache(pixels, canvas)
const samples: Sample[] = Array.from({ length: 7 }, (_, i) => ({
  id: String(i),
  file: `${i}.png`,
  ...canvas,
  pixelSize: null,
  points: [[i % 4, i % 5]],
}))

function indicesOf(list: readonly number[]): torch.Tensor {
  return torch.tensor(BigInt64Array.from(list, BigInt))
}

test('every batch of the loader has the pixels of its images, also where one comes twice', async () => {
  using images = new ResidentImages(cache)
  expect(images).toMatchObject({ ...canvas, length: 7 })
  const loader = new Loader(images, samples, { batchSize: 3, seed: 1 })
  const drawn = Array.from({ length: 5 }, () => loader.next().indices)
  for (const indices of [...drawn, [6, 6, 0]]) {
    using list = indicesOf(indices)
    using batch = images.batch(list)
    expect([batch.shape, batch.dtype]).toEqual([[3, 1, 5, 4], 'float32'])
    const wanted = indices.flatMap((i) => [...cache.get(i)])
    expect([...((await batch.data()) as Float32Array)]).toEqual(wanted)
  }
})

test('a program takes another batch by other numbers, and what is done to one leaves the images alone', async () => {
  using images = new ResidentImages(cache)
  using inverted = torch.program((list: torch.Tensor) => images.batch(list).neg_().add_(255))
  for (const indices of [
    [0, 1],
    [5, 2],
    [5, 2],
    [3, 3],
  ]) {
    using list = indicesOf(indices)
    using batch = await inverted(list)
    const wanted = indices.flatMap((i) => [...cache.get(i)].map((grey) => 255 - grey))
    expect([...((await batch.data()) as Float32Array)]).toEqual(wanted)
  }
  expect(inverted.calls.replayed).toBeGreaterThan(0)
})

test('the pixels are a copy', async () => {
  const own = new ImageCache(pixels.slice(), canvas)
  using images = new ResidentImages(own)
  own.pixels.fill(0)
  using list = indicesOf([1])
  using batch = images.batch(list)
  expect([...((await batch.data()) as Float32Array)]).toEqual([...cache.get(1)])
})
