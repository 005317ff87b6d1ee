import { afterAll, describe, expect, test } from 'vitest'
import { Augmentation, type AugmentationConfig } from '#lib/data/augmentation.js'
import { Random } from '#lib/data/random.js'
import type { Point } from '#lib/landmarks/geometry.js'
import * as torch from '#lib/torch/index.js'

const size = { width: 160, height: 200 }
const paper: AugmentationConfig = {
  rotate: 3,
  translate: 10,
  scale: [0.95, 1.05],
  shear: 10,
  multiply: [0.5, 1.5],
  elastic: { alpha: 500, sigma: 30 },
  cutout: 0.3,
  gamma: [0.5, 2],
}
const still: AugmentationConfig = {
  rotate: 0,
  translate: 0,
  scale: [1, 1],
  shear: 0,
  multiply: null,
  elastic: null,
  cutout: null,
  gamma: null,
}
const made: Augmentation[] = []
function augmentation(config: Partial<AugmentationConfig>, base = still) {
  const result = new Augmentation({ ...base, ...config }, size)
  made.push(result)
  return result
}
afterAll(() => {
  for (const one of made) one[Symbol.dispose]()
})

const centres: Point[] = [
  [40, 50],
  [120, 45],
  [80, 100],
  [35.5, 150.25],
  [125, 155],
]
const points = (batch: number) =>
  Float64Array.from({ length: batch * 10 }, (_, i) => centres.flat()[i % 10] as number)

/**
 * [batch, 1, H, W] with a blob at each point. Small ones: a map that bends shifts the centroid of a
 * blob by half its variance times the bend, which for a blob of 2 pixels is 0.1 pixels.
 */
const sigma = 1

function blobs(batch: number): torch.Tensor {
  const one = Float32Array.from({ length: size.width * size.height }, (_, i) => {
    const x = i % size.width
    const y = Math.floor(i / size.width)
    let sum = 0
    for (const [cx, cy] of centres)
      sum += 200 * Math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma * sigma))
    return sum
  })
  return torch
    .tensor(one, { shape: [1, 1, size.height, size.width] })
    .expand([batch, 1, size.height, size.width])
    .contiguous()
}

/** Centroid of the greys around a point. */
function centroid(image: ArrayLike<number>, near: Point): Point {
  let [sum, sumX, sumY] = [0, 0, 0]
  for (let y = Math.round(near[1]) - 10; y <= Math.round(near[1]) + 10; y++)
    for (let x = Math.round(near[0]) - 10; x <= Math.round(near[0]) + 10; x++) {
      const value = image[y * size.width + x] as number
      sum += value
      sumX += value * x
      sumY += value * y
    }
  return [sumX / sum, sumY / sum]
}

async function worstError(config: Partial<AugmentationConfig>, seed: number): Promise<number> {
  const batch = 8
  using images = blobs(batch)
  const result = augmentation(config).apply(images, points(batch), new Random(seed))
  const greys = (await result.images.data()) as Float32Array
  result.images.dispose()
  let worst = 0
  for (let b = 0; b < batch; b++) {
    const image = greys.subarray(b * size.width * size.height, (b + 1) * size.width * size.height)
    for (let n = 0; n < 5; n++) {
      const expected: Point = [
        result.points[b * 10 + 2 * n] as number,
        result.points[b * 10 + 2 * n + 1] as number,
      ]
      const found = centroid(image, expected)
      worst = Math.max(worst, Math.hypot(found[0] - expected[0], found[1] - expected[1]))
    }
  }
  return worst
}

describe('blobs drawn at the points are found at the moved points within 0.1 pixels after', () => {
  const cases: Record<string, Partial<AugmentationConfig>> = {
    nothing: {},
    rotation: { rotate: 20 },
    translation: { translate: 60 },
    scaling: { scale: [0.8, 1.2] },
    shearing: { shear: 20 },
    'elastic deformation': { elastic: { alpha: 500, sigma: 30 } },
    "all of the paper's geometry at once": { ...paper, multiply: null, gamma: null, cutout: null },
  }
  for (const [name, config] of Object.entries(cases))
    test(name, async () => {
      for (let seed = 0; seed < 3; seed++) expect(await worstError(config, seed)).toBeLessThan(0.1)
    })
})

test('without any change the image comes back as it was', async () => {
  using images = blobs(2)
  const result = augmentation({}).apply(images, points(2), new Random(1))
  const [before, after] = [await images.data(), await result.images.data()] as Float32Array[]
  result.images.dispose()
  let worst = 0
  after?.forEach((value, i) => {
    worst = Math.max(worst, Math.abs(value - (before?.[i] as number)))
  })
  expect(worst).toBeLessThan(0.02)
  result.points.forEach((value, i) => {
    expect(value).toBeCloseTo(points(2)[i] as number, 9)
  })
})

async function constantImage(config: Partial<AugmentationConfig>, grey: number, seed: number) {
  using images = torch.full([4, 1, size.height, size.width], grey, { dtype: 'float32' })
  const result = augmentation(config).apply(images, new Float64Array(0), new Random(seed))
  const greys = (await result.images.data()) as Float32Array
  result.images.dispose()
  return Array.from({ length: 4 }, (_, b) =>
    greys.subarray(b * size.width * size.height, (b + 1) * size.width * size.height),
  )
}

test('multiply changes each image by one factor of the range, and stays below 255', async () => {
  const factors = (await constantImage({ multiply: [0.5, 1.5] }, 100, 3)).map((image) => {
    expect(Math.max(...image) - Math.min(...image)).toBeLessThan(0.01)
    return (image[0] as number) / 100
  })
  expect(new Set(factors).size).toBe(4)
  for (const factor of factors) expect(Math.abs(factor - 1)).toBeLessThan(0.5)
  for (const image of await constantImage({ multiply: [1.2, 1.5] }, 250, 3))
    expect(image[0]).toBe(255)
})

test('gamma is 255 (v / 255)^g', async () => {
  for (const image of await constantImage({ gamma: [2, 2] }, 127.5, 1))
    expect(image[77]).toBeCloseTo(63.75, 2)
})

test('cutout fills at most one rectangle an image, of one grey, at most 0.3 of each side', async () => {
  let holes = 0
  for (let seed = 0; seed < 8; seed++)
    for (const image of await constantImage({ cutout: 0.3 }, 255, seed)) {
      const inside = [...image.keys()].filter((i) => Math.abs((image[i] as number) - 255) > 0.1)
      if (inside.length === 0) continue
      holes++
      const xs = inside.map((i) => i % size.width)
      const ys = inside.map((i) => Math.floor(i / size.width))
      const width = Math.max(...xs) - Math.min(...xs) + 1
      const height = Math.max(...ys) - Math.min(...ys) + 1
      expect(width).toBeLessThanOrEqual(49)
      expect(height).toBeLessThanOrEqual(61)
      expect(inside.length).toBe(width * height)
    }
  expect(holes).toBeGreaterThan(6)
  expect(holes).toBeLessThan(26)
})

test('no landmark leaves the image, however strong the translation', async () => {
  using images = blobs(4)
  const corner = Float64Array.from({ length: 4 * 2 }, () => 1)
  for (let seed = 0; seed < 20; seed++) {
    const result = augmentation({ translate: 200, rotate: 20 }).apply(
      images,
      corner,
      new Random(seed),
    )
    result.images.dispose()
    for (const value of result.points) expect(value).toBeGreaterThanOrEqual(-0.5)
  }
})

test('missing points stay missing', () => {
  using images = blobs(1)
  const result = augmentation({}, paper).apply(
    images,
    Float64Array.of(Number.NaN, Number.NaN, 50, 60),
    new Random(1),
  )
  result.images.dispose()
  expect(result.points[0]).toBeNaN()
  expect(result.points[2]).toBeGreaterThan(0)
})

test('equal seeds give the same images and points', async () => {
  using images = blobs(3)
  const first = augmentation({}, paper).apply(images, points(3), new Random(4))
  const second = augmentation({}, paper).apply(images, points(3), new Random(4))
  expect([...second.points]).toEqual([...first.points])
  const bytes = async (tensor: torch.Tensor) => Buffer.from((await tensor.data()).buffer)
  expect((await bytes(second.images)).equals(await bytes(first.images))).toBe(true)
  first.images.dispose()
  second.images.dispose()
})

test('leaves only its constants behind', async () => {
  using images = blobs(2)
  const one = augmentation({}, paper)
  one.apply(images, points(2), new Random(1)).images.dispose()
  const before = torch.memory().tensors
  for (let i = 0; i < 5; i++)
    torch.scope(() => {
      one.apply(images, points(2), new Random(i))
    })
  await torch.synchronize()
  expect(torch.memory().tensors).toBe(before)
})
