import { describe, expect, test } from 'vitest'
import { cephalometric19 } from '#lib/landmarks/cephalometry.js'
import { decodeHeatmap, encodeTargets } from '#lib/landmarks/heatmap.js'

/** Logits of a Gaussian with this centre: softmax over them has the centre as its mean. */
function gaussian(width: number, height: number, cx: number, cy: number, sigma: number) {
  return Float32Array.from({ length: width * height }, (_, i) => {
    const x = i % width
    const y = Math.floor(i / width)
    return -((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma * sigma)
  })
}

test('the 19 landmarks start with sella and end with articulare', () => {
  expect(cephalometric19.landmarks).toHaveLength(19)
  expect(cephalometric19.landmarks[0]?.name).toBe('S')
  expect(cephalometric19.landmarks[15]?.name).toBe("Pog'")
  expect(cephalometric19.landmarks[18]?.label).toBe('Articulare')
})

describe('encodeTargets', () => {
  test('writes y * width + x of the nearest pixel, and -1 for missing and outside points', () => {
    const points = [[1.6, 2.4], null, [-0.6, 0], [3.4, 4.4], [3.6, 1]] as [number, number][]
    expect([...encodeTargets(points, 4, 5).index]).toEqual([2 * 4 + 2, -1, -1, 4 * 4 + 3, -1])
  })

  test('floor takes the pixel up and left', () => {
    expect([...encodeTargets([[1.9, 2.9]], 4, 5, 'floor').index]).toEqual([2 * 4 + 1])
  })
})

describe('decodeHeatmap', () => {
  test('argmax returns the hottest pixel', () => {
    const values = new Float32Array(12).fill(-1)
    values[7] = 3
    expect(decodeHeatmap(values, 4, 3, { method: 'argmax' })).toEqual([3, 1])
  })

  test('among equal pixels argmax prefers the cluster to the isolated speck', () => {
    const values = new Float32Array(20 * 20).fill(-1)
    values[3 * 20 + 3] = 1
    for (const i of [11 * 20 + 12, 12 * 20 + 12, 13 * 20 + 12, 12 * 20 + 11, 12 * 20 + 13])
      values[i] = 1
    expect(decodeHeatmap(values, 20, 20, { method: 'argmax' })).toEqual([12, 12])
  })

  test('soft-argmax finds a Gaussian centre between pixels within 0.01', () => {
    const values = gaussian(30, 40, 12.3, 20.7, 0.8)
    const [x, y] = decodeHeatmap(values, 30, 40, { method: 'soft-argmax', radius: 4 })
    expect(x).toBeCloseTo(12.3, 2)
    expect(y).toBeCloseTo(20.7, 2)
  })

  test('soft-argmax ignores a second peak outside its window', () => {
    const values = gaussian(30, 40, 12.3, 20.7, 0.8)
    values[0] = -0.2
    const [x] = decodeHeatmap(values, 30, 40, { method: 'soft-argmax', radius: 4 })
    expect(x).toBeCloseTo(12.3, 2)
  })

  test('topk with k = 1 is argmax, and with two equal pixels their middle', () => {
    const values = new Float32Array(12)
    values[5] = 2
    expect(decodeHeatmap(values, 4, 3, { method: 'topk', k: 1 })).toEqual([1, 1])
    values[6] = 2
    expect(decodeHeatmap(values, 4, 3, { method: 'topk', k: 2 })).toEqual([1.5, 1])
  })

  test('topk over all pixels is the mean of the softmax', () => {
    const values = Float32Array.from([0, Math.log(3)])
    expect(decodeHeatmap(values, 2, 1, { method: 'topk', k: 2 })[0]).toBeCloseTo(0.75, 6)
  })

  test('a heatmap of NaN is refused', () => {
    const values = new Float32Array(4).fill(Number.NaN)
    expect(() => decodeHeatmap(values, 2, 2, { method: 'argmax' })).toThrow(
      expect.objectContaining({ code: 'ERR_DATA' }),
    )
  })
})
