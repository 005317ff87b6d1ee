import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeImage } from '#lib/data/image.js'
import { Detector } from '#lib/inference/detector.js'
import { readCheckpoint } from '#lib/training/checkpoint.js'
import { runToEnd, syntheticData, temporaryFolder } from '../training/fixtures.js'

let data: string
let run: string
let detector: Detector
let file: string
beforeAll(async () => {
  torch.setNumThreads(1)
  data = await syntheticData()
  run = temporaryFolder()
  await runToEnd({ preset: 'tiny', data, out: run })
  detector = await Detector.load(run)
  file = join(data, 'RawImage/Test1Data/151.png')
})
afterAll(() => detector.dispose())

const points = ({ landmarks }: { landmarks: { x: number; y: number }[] }) =>
  landmarks.map(({ x, y }) => [x, y])

describe('an image', () => {
  test('may be a path, the bytes of a file, or raw pixels: the points are the same', async () => {
    const path = await detector.detect(file)
    expect(path.landmarks.map(({ name }) => name).slice(0, 3)).toEqual(['S', 'N', 'Or'])
    expect([path.width, path.height]).toEqual([121, 150])
    expect(points(await detector.detect(readFileSync(file)))).toEqual(points(path))
    const raw = await decodeImage(file)
    expect(points(await detector.detect({ ...raw }))).toEqual(points(path))
    const rgb = Uint8Array.from(
      { length: 3 * raw.data.length },
      (_, i) => raw.data[Math.floor(i / 3)] ?? 0,
    )
    expect(points(await detector.detect({ ...raw, data: rgb, channels: 3 }))).toEqual(points(path))
  })

  test('of another size gives points in its own pixels', async () => {
    // Exactly three times as large, so that the canvas sees nearly the same picture.
    const large = await sharp(file).resize(363, 450, { kernel: 'nearest' }).png().toBuffer()
    const [small, big] = [await detector.detect(file), await detector.detect(large)]
    expect([big.width, big.height]).toEqual([363, 450])
    const away = points(small).map(([x = 0, y = 0], i) => {
      const [bx = 0, by = 0] = points(big)[i] ?? []
      return Math.hypot((bx + 0.5) / 3 - 0.5 - x, (by + 0.5) / 3 - 0.5 - y)
    })
    const near = away.filter((distance) => distance < 1)
    expect(near.length).toBeGreaterThan(away.length / 2)
  })

  test('that is damaged is named', async () => {
    const cut = join(temporaryFolder(), 'cut.png')
    writeFileSync(cut, readFileSync(file).subarray(0, 3000))
    await expect(detector.detect(cut)).rejects.toMatchObject({
      code: 'ERR_IMAGE',
      message: expect.stringContaining('cut.png'),
    })
  })

  test('of raw pixels that do not fit their size is refused', async () => {
    const image = { data: new Uint8Array(10), width: 4, height: 4 }
    await expect(detector.detect(image)).rejects.toMatchObject({ code: 'ERR_IMAGE' })
  })
})

describe('the noise', () => {
  test('is decided by the seed', async () => {
    const [a, b, c] = [
      await detector.detect(file, { seed: 5 }),
      await detector.detect(file, { seed: 5 }),
      await detector.detect(file, { seed: 6 }),
    ]
    expect(b).toEqual(a)
    expect(points(c)).not.toEqual(points(a))
  })

  test('of an image does not depend on the others of its batch', async () => {
    const other = join(data, 'RawImage/Test1Data/152.png')
    const alone = [await detector.detect(file), await detector.detect(other)]
    const together = await detector.detectBatch([file, other])
    for (const [i, detection] of together.entries()) {
      const expected = points(alone[i] as (typeof alone)[0]).flat()
      const found = points(detection).flat()
      // Batched convolutions may round differently, no more.
      expect(
        found.filter((x, n) => Math.abs(x - (expected[n] ?? 0)) < 0.01).length,
      ).toBeGreaterThan(34)
    }
  })
})

describe('chains', () => {
  test('are returned one by one, the points being those of their mean', async () => {
    const { chains, landmarks } = await detector.detect(file, { chains: 3, steps: 1 })
    expect(chains).toHaveLength(3)
    expect(chains?.[0]).toHaveLength(19)
    expect(landmarks).toHaveLength(19)
    expect(chains?.[0]).not.toEqual(chains?.[1])
  })

  test('part the covariance into what is within them and between their means', async () => {
    const { landmarks, chains } = await detector.detect(file, { chains: 3, steps: 1 })
    const [one] = [await detector.detect(file, { steps: 1 })]
    expect(one.landmarks[0]?.between).toBeUndefined()
    for (const { covariance, within, between } of landmarks) {
      for (const [r, c] of [[0, 0], [0, 1], [1, 1]] as const) // biome-ignore format: pairs
        expect(covariance?.[r][c]).toBeCloseTo((within?.[r][c] ?? 0) + (between?.[r][c] ?? 0), 9)
      expect((between?.[0][0] ?? 0) + (between?.[1][1] ?? 0)).toBeGreaterThan(0)
    }
    // The first chain has the noise of a detection with one chain.
    expect(chains?.[0]).toEqual(points(one))
  })

  test('together have the covariance of their mean heatmap', async () => {
    const { landmarks, heatmaps } = await detector.detect(file, {
      chains: 3,
      steps: 1,
      heatmaps: true,
    })
    const { width, height, data = new Float32Array(), toOriginal } = heatmaps ?? {}
    const size = (width ?? 0) * (height ?? 0)
    for (const [n, { mean, covariance }] of landmarks.entries()) {
      const own = data.subarray(n * size, (n + 1) * size)
      const xs = Array.from(own, (p, i) => [p, i % (width ?? 1)] as const)
      const mx = xs.reduce((sum, [p, x]) => sum + p * x, 0)
      const variance = xs.reduce((sum, [p, x]) => sum + p * (x - mx) ** 2, 0)
      const step = toOriginal?.a ?? 0
      expect(mean?.[0]).toBeCloseTo(mx * step + (toOriginal?.c ?? 0), 2)
      expect((covariance?.[0][0] ?? 0) / (step * step * (variance + 1 / 12))).toBeCloseTo(1, 3)
    }
  })

  test('report their steps, and stop between two of them when told to', async () => {
    const controller = new AbortController()
    const seen: number[] = []
    const promise = detector.detect(file, {
      steps: 20,
      signal: controller.signal,
      onStep: ({ step, t, x0 }) => {
        expect(x0.shape).toEqual([1, 19, 40, 32])
        seen.push(t)
        if (step === 3) controller.abort()
      },
    })
    await expect(promise).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect(seen).toEqual([19, 18, 17])
  })
})

test('millimetres come from the pixel size, and without one there are none', async () => {
  const [px, mm] = [await detector.detect(file), await detector.detect(file, { pixelSize: 0.5 })]
  expect(px.pixelSize).toBeNull()
  expect(mm.pixelSize).toEqual([0.5, 0.5])
  expect(points(mm)).toEqual(points(px))
  expect((mm.landmarks[0]?.ere ?? 0) / (px.landmarks[0]?.ere ?? 1)).toBeCloseTo(0.5, 5)
  await expect(detector.detect(file, { pixelSize: -1 })).rejects.toThrow(/makes no sense/)
})

test('heatmaps are probabilities', async () => {
  const { heatmaps } = await detector.detect(file, { heatmaps: true })
  expect(heatmaps?.data.length).toBe(19 * 40 * 32)
  const sum = heatmaps?.data.subarray(0, 40 * 32).reduce((a, b) => a + b, 0)
  expect(sum).toBeCloseTo(1, 4)
})

test('nothing stays behind: the live tensors are the same after a detection', async () => {
  await detector.detect(file, { chains: 2, heatmaps: true })
  const before = torch.memory().tensors
  await detector.detect(file, { chains: 2, heatmaps: true })
  expect(torch.memory().tensors).toBe(before)
})

describe('loading', () => {
  test('draws no random numbers: those of the program that loads stay the same', async () => {
    const before = await torch.getRngState()
    await using _ = await Detector.load(run)
    expect(await torch.getRngState()).toEqual(before)
  })

  test('uses the averaged weights of a checkpoint', async () => {
    const { tensors } = await readCheckpoint(join(run, 'checkpoints/last.safetensors'))
    const weights = join(temporaryFolder(), 'ema.safetensors')
    const averaged = Object.entries(tensors).filter(([name]) => name.startsWith('ema.'))
    await torch.save(weights, Object.fromEntries(averaged.map(([name, t]) => [name.slice(4), t])))
    await using bare = await Detector.load({ preset: 'tiny', weights })
    await using last = await Detector.load(run, { checkpoint: 'last' })
    expect(await bare.detect(file)).toEqual(await last.detect(file))
  })

  test('a folder that is no run is refused', async () => {
    await expect(Detector.load(data)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('not a run folder'),
    })
  })

  test('a model without diffusion needs no steps and no noise', async () => {
    const out = temporaryFolder()
    const set = ['diffusion.objective=none', 'train.steps=2']
    await runToEnd({ preset: 'tiny', data, out, set })
    await using baseline = await Detector.load(out)
    expect(await baseline.detect(file, { seed: 1 })).toEqual(
      await baseline.detect(file, { seed: 2 }),
    )
  })
})
