import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { decodePoints, measureSpread } from '#lib/inference/decode.js'
import { decodeHeatmap } from '#lib/landmarks/heatmap.js'

const [width, height] = [12, 9]
const pixels = width * height

/** Logits of K heatmaps, the first ones with their peaks at corners and borders. */
function someLogits(count: number): Float32Array {
  torch.manualSeed(4)
  const peaks = [0, width - 1, pixels - 1, 5, 4 * width, 4 * width + 6]
  let state = 1
  return Float32Array.from({ length: count * pixels }, (_, i) => {
    state = (state * 48271) % 2147483647
    const peak = peaks[Math.floor(i / pixels)]
    return (state / 2147483647) * 3 + (i % pixels === peak ? 4 : 0)
  })
}

function heatmapsOf(logits: Float32Array, count: number) {
  const logProbabilities = torch.tensor(logits, { shape: [count, pixels] }).logSoftmax(1)
  return { logProbabilities, width, height }
}

describe('decoding on the executor', () => {
  const count = 8
  const logits = someLogits(count)

  test.each([
    { method: 'argmax' as const, k: 20, radius: 3 },
    { method: 'soft-argmax' as const, k: 20, radius: 2 },
    { method: 'soft-argmax' as const, k: 20, radius: 30 },
    { method: 'topk' as const, k: 5, radius: 3 },
    { method: 'topk' as const, k: 1000, radius: 3 },
  ])('gives the points of the plain reference: $method k $k radius $radius', async (decode) => {
    const { points, peaks } = await torch.scopeAsync(() =>
      decodePoints(heatmapsOf(logits, count), decode),
    )
    for (let i = 0; i < count; i++) {
      const map = logits.slice(i * pixels, (i + 1) * pixels)
      const expected = decodeHeatmap(map, width, height, decode)
      expect(points[i]?.[0]).toBeCloseTo(expected[0], 4)
      expect(points[i]?.[1]).toBeCloseTo(expected[1], 4)
      const [x, y] = decodeHeatmap(map, width, height, { method: 'argmax' })
      expect(peaks[i]).toBe(y * width + x)
    }
  })
})

describe('uncertainty', () => {
  /** Two hot pixels: 60 % at (4, 3) and 40 % three pixels to the right and four down. */
  async function measure(unit: [number, number], shares: [number, number] = [0.6, 0.4]) {
    const logs = new Float32Array(pixels).fill(-200)
    logs[3 * width + 4] = Math.log(shares[0])
    logs[7 * width + 7] = Math.log(shares[1])
    return torch.scopeAsync(async () => {
      const logProbabilities = torch.tensor(logs, { shape: [1, pixels] })
      const [spread] = await measureSpread(
        { logProbabilities, width, height },
        [3 * width + 4],
        unit,
      )
      return spread
    })
  }

  test('the expected radial error of 40 % at a distance of 5 pixels is 2 pixels', async () => {
    expect((await measure([1, 1]))?.ere).toBeCloseTo(2, 5)
  })

  test('it is in the unit of the pixel, on each axis', async () => {
    expect((await measure([0.1, 0.1]))?.ere).toBeCloseTo(0.2, 5)
    expect((await measure([2, 1]))?.ere).toBeCloseTo(0.4 * Math.hypot(6, 4), 5)
  })

  test('what is below 5 % of the peak does not count', async () => {
    expect((await measure([1, 1], [0.97, 0.03]))?.ere).toBeCloseTo(0, 5)
    expect((await measure([1, 1], [0.94, 0.06]))?.ere).toBeCloseTo(0.3, 5)
  })

  test('the covariance is that of the two points and of the square of a pixel', async () => {
    const spread = await measure([1, 2])
    const share = 0.6 * 0.4
    expect(spread?.covariance[0][0]).toBeCloseTo(share * 9 + 1 / 12, 4)
    expect(spread?.covariance[0][1]).toBeCloseTo(share * 3 * 8, 4)
    expect(spread?.covariance[1][0]).toBe(spread?.covariance[0][1])
    expect(spread?.covariance[1][1]).toBeCloseTo(share * 64 + 4 / 12, 4)
  })

  test('the confidence is the probability of the hottest pixel', async () => {
    expect((await measure([1, 1]))?.confidence).toBeCloseTo(0.6, 6)
  })
})
