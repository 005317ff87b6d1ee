import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { expect, test } from 'vitest'
import { densityMoments } from '#lib/evaluation/uncertainty/covariance.js'
import { Density } from '#lib/evaluation/uncertainty/density.js'
import { readHeatmaps } from '#lib/evaluation/uncertainty/heatmap-file.js'
import { tileHeatmaps, writeHeatmapFile } from '#lib/inference/tiles.js'
import { fitCanvas } from '#lib/landmarks/geometry.js'
import { temporaryFolder } from '../training/fixtures.js'

const [width, height] = [150, 70]

/** Two bumps on a faint background; the canvas is no multiple of the tiles. */
function logits(cx: number, cy: number): Float32Array {
  return Float32Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)]
    const bump = (ax: number, ay: number) => Math.exp(-((x - ax) ** 2 + (y - ay) ** 2) / 40)
    return 24 * bump(cx, cy) + 23 * bump(width - cx, height - cy)
  })
}

test('stored heatmaps are those of the network where the probability is, and its mean elsewhere', async () => {
  const data = Float32Array.of(...logits(30, 20), ...logits(140, 65))
  const dense = await torch.scopeAsync(async () => {
    const p = torch.tensor(data, { shape: [2, width * height] }).softmax(1)
    return (await p.data()) as Float32Array
  })
  const tiles = await torch.scopeAsync(() =>
    tileHeatmaps({
      logProbabilities: torch.tensor(data, { shape: [2, width * height] }).logSoftmax(1),
      width,
      height,
    }),
  )
  const file = join(temporaryFolder(), 'heatmaps.safetensors')
  const toOriginal = fitCanvas({ width: 1500, height: 700 }, { width, height }).inverse()
  await writeHeatmapFile(file, tiles, { landmarks: ['S', 'N'], width, height, toOriginal })
  const maps = await readHeatmaps(file)
  expect(maps.step[0]).toBeCloseTo(10, 9)
  expect(maps.origin[1]).toBeCloseTo(4.5, 9)
  // A tenth of the 50 tiles of a landmark hold nearly everything.
  expect(maps.index.length).toBeLessThan(50)
  for (const n of [0, 1]) {
    const density = Density.of(maps, n)
    const own = dense.subarray(n * width * height, (n + 1) * width * height)
    let [mass, mx, my] = [0, 0, 0]
    for (const [i, p] of own.entries()) {
      const cell = density.cellAt([i % width, Math.floor(i / width)]) as number
      // float16 has 11 bits: logarithms up to 32 are off by 1/128 at most.
      if (density.layout.spanX[cell] === 1)
        expect(Math.abs(Math.log((density.perPixel[cell] as number) / p))).toBeLessThan(0.01)
      else mass += p
      mx += p * (i % width)
      my += p * Math.floor(i / width)
    }
    expect(mass).toBeLessThan(1e-4)
    const { mean } = densityMoments(density, [1, 1])
    expect(mean[0]).toBeCloseTo(mx, 1)
    expect(mean[1]).toBeCloseTo(my, 1)
  }
})

test('the mean of a tile that is not stored is that of its pixels inside the canvas', async () => {
  // Uniform: no tile holds more than another, and the border tiles are 6 pixels wide.
  const tiles = await torch.scopeAsync(() =>
    tileHeatmaps({
      logProbabilities: torch.zeros([1, width * height]).logSoftmax(1),
      width,
      height,
    }),
  )
  expect(tiles.shape).toEqual([1, 5, 10])
  expect(tiles.coarse.every((bits) => (bits & 0x7fff) < 0x1400)).toBe(true) // |log| < 0.001
})
