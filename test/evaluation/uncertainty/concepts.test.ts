import { describe, expect, it } from 'vitest'
import { conformalQuantile, conformalRegions } from '#lib/evaluation/uncertainty/conformal.js'
import {
  combineChains,
  densityMoments,
  isCovariance,
  pointMoments,
} from '#lib/evaluation/uncertainty/covariance.js'
import { Density } from '#lib/evaluation/uncertainty/density.js'
import { correlateErrors, expectedRadialError } from '#lib/evaluation/uncertainty/ere.js'
import { HighestDensity } from '#lib/evaluation/uncertainty/highest-density.js'
import { outlierRoc } from '#lib/evaluation/uncertainty/outliers.js'
import { modeReliability } from '#lib/evaluation/uncertainty/reliability.js'
import { riskCoverage } from '#lib/evaluation/uncertainty/risk-coverage.js'
import { mapsOf } from './heatmaps.js'

/** A row of pixels. */
const row = (...weights: number[]) =>
  Density.of(mapsOf({ width: weights.length, height: 1, weights: [weights] }), 0)

describe('the expected radial error', () => {
  it('is the mean distance to the hottest pixel, in the unit of a pixel', () => {
    // 6/10 at 0, 3/10 at 1, 1/10 at 3 pixels: 0.6 pixels.
    expect(expectedRadialError(row(6, 3, 0, 1), [1, 1])).toBeCloseTo(0.6, 6)
    expect(expectedRadialError(row(6, 3, 0, 1), [0.5, 9])).toBeCloseTo(0.3, 6)
  })

  it('leaves out what does not exceed the cut-off, and renormalises', () => {
    // Shares of the hottest: 1, 0.5, 0.04.
    expect(expectedRadialError(row(100, 50, 0, 4), [1, 1])).toBeCloseTo(50 / 150, 6)
    expect(expectedRadialError(row(100, 50, 0, 4), [1, 1], 0.01)).toBeCloseTo(62 / 154, 6)
    expect(expectedRadialError(row(100, 50, 0, 4), [1, 1], 0.5)).toBe(0)
  })

  it('leaves a last incomplete block out of the correlation over blocks', () => {
    const expected = Array.from({ length: 80 }, (_, i) => i)
    const { blocks } = correlateErrors(expected, expected)
    expect(blocks.expected).toEqual([17.5, 53.5])
  })
})

describe('covariances', () => {
  it('of a heatmap have the square of a pixel in them', () => {
    const { mean, covariance } = densityMoments(row(1, 0, 1), [2, 1])
    expect(mean).toEqual([1, 0])
    expect(covariance[0][0]).toBeCloseTo(4 * (1 + 1 / 12), 12)
    expect(covariance[1][1]).toBeCloseTo(1 / 12, 12)
  })

  it('of chains are the mean within them and the covariance of their means', () => {
    const { mean, total, within, between } = combineChains([
      { mean: [0, 0], covariance: [[1, 0.5], [0.5, 2]] }, // biome-ignore format: a matrix
      { mean: [2, 4], covariance: [[3, -0.5], [-0.5, 4]] }, // biome-ignore format: a matrix
    ])
    expect(mean).toEqual([1, 2])
    expect(within).toEqual([[2, 0], [0, 3]]) // biome-ignore format: a matrix
    expect(between).toEqual([[1, 2], [2, 4]]) // biome-ignore format: a matrix
    expect(total).toEqual([[3, 2], [2, 7]]) // biome-ignore format: a matrix
  })

  it('of the mean of two heatmaps are those of their mixture', () => {
    const [a, b] = [row(4, 2, 1, 0, 1), row(0, 0, 1, 2, 5)]
    const moments = [a, b].map((density) => densityMoments(density, [1, 1]))
    const mixture = a.perPixel.map((p, i) => (p + (b.perPixel[i] as number)) / 2)
    const whole = densityMoments(row(...mixture), [1, 1])
    const { total } = combineChains(moments)
    expect(total[0][0]).toBeCloseTo(whole.covariance[0][0], 6)
  })

  it('need a symmetric positive definite matrix', () => {
    expect(isCovariance([[2, 1], [1, 1]])).toBe(true) // biome-ignore format: a matrix
    expect(isCovariance([[1, 1], [1, 1]])).toBe(false) // biome-ignore format: a matrix
    expect(isCovariance([[1, 0.5], [0.4, 1]])).toBe(false) // biome-ignore format: a matrix
    expect(isCovariance([[-1, 0], [0, -1]])).toBe(false) // biome-ignore format: a matrix
    expect(pointMoments([[0, 0], [2, 0]]).covariance).toEqual([[1, 0], [0, 0]]) // biome-ignore format: a matrix
  })
})

describe('highest-density regions', () => {
  const ranked = new HighestDensity(row(1, 4, 3, 1, 1))

  it('take the hottest pixels first, and of equal ones a part', () => {
    expect(ranked.pixels(0.4)).toBeCloseTo(1, 6)
    expect(ranked.pixels(0.55)).toBeCloseTo(1.5, 6)
    // Three pixels of 0.1 share what lies between 0.7 and 1.
    expect(ranked.pixels(0.85)).toBeCloseTo(3.5, 6)
    expect(ranked.wholePixels(0.85)).toBe(2)
  })

  it('hold a truth by the part of its pixel that they take', () => {
    const hot = row(1, 4, 3, 1, 1).logs[2] as number
    const { inside } = ranked.regions(hot, 1)
    const levels = inside.map((_, i) => (i + 1) / 20)
    for (const [i, level] of levels.entries())
      expect(inside[i]).toBeCloseTo(Math.min(1, Math.max(0, (level - 0.4) / 0.3)), 5)
  })

  it('never hold a truth outside of the canvas', () => {
    expect(ranked.regions(null, 1).inside.every((share) => share === 0)).toBe(true)
  })
})

describe('the reliability of the mode', () => {
  it('calls a point correct within the disc of the area of a pixel', () => {
    const radius = Math.sqrt(1 / Math.PI)
    const point = (error: number, confidence: number) => ({ error, confidence, pixelArea: 1 })
    const found = modeReliability([
      point(radius * 0.99, 0.05),
      point(radius * 1.01, 0.05),
      point(0, 0.9),
      point(9, 0.2),
    ])
    expect(found?.bins[3]).toMatchObject({ points: 2, accuracy: 0.5, confidence: 0.05 })
    expect(found?.bins[9]).toMatchObject({ points: 2, accuracy: 0.5, confidence: 0.55 })
    expect(found?.ece).toBeCloseTo(100 * (0.5 * 0.45 + 0.5 * 0.05), 12)
    expect(modeReliability([])).toBeNull()
  })
})

describe('outliers', () => {
  it('are split by the expected error, and one of exactly the limit is none', () => {
    const roc = outlierRoc([1, 2, 3, 4], [0.5, 5, 4, 6], 4)
    expect(roc).toMatchObject({ outliers: 2, auc: 0.75 })
    expect(roc.atHalf).toMatchObject({
      threshold: 4,
      truePositiveRate: 0.5,
      falsePositiveRate: 0,
      below: { points: 3, mre: 9.5 / 3 },
      above: { points: 1, mre: 6, sdr2: 0 },
    })
  })

  it('may be none at all', () => {
    const roc = outlierRoc([1, 2], [1, 1], 4)
    expect(roc).toMatchObject({ outliers: 0, auc: Number.NaN, atHalf: null })
  })
})

describe('risk and coverage', () => {
  it('are the means of the surest points', () => {
    const found = riskCoverage([0.1, 0.3, 0.2, 0.4], [1, 3, 2, 6])
    expect(found?.aurc).toBeCloseTo((1 + 1.5 + 2 + 3) / 4, 12)
    expect(found).toMatchObject({ aurc: found?.oracleAurc, randomAurc: 3 })
    expect([0.25, 0.5, 0.75, 1].map((share) => found?.mre[Math.round(share * 100) - 1])).toEqual([
      1, 1.5, 2, 3,
    ])
    expect(found?.sdr2.at(-1)).toBe(50)
  })

  it('do not depend on the order of equally sure points', () => {
    expect(riskCoverage([1, 1, 1], [6, 0, 3])).toEqual(riskCoverage([1, 1, 1], [0, 3, 6]))
    expect(riskCoverage([1, 1], [1, 3])?.mre[49]).toBe(2)
  })
})

describe('conformal regions', () => {
  it('end at the score of rank ceil((n + 1) c)', () => {
    const nine = [9, 8, 7, 6, 5, 4, 3, 2, 1]
    expect(conformalQuantile(nine, 0.8)).toBe(8)
    expect(conformalQuantile(nine, 0.9)).toBe(9)
    expect(conformalQuantile(nine, 0.91)).toBe(Number.POSITIVE_INFINITY)
    expect(conformalQuantile([], 0.5)).toBe(Number.POSITIVE_INFINITY)
  })

  it('have a coverage and areas of their own for every landmark', () => {
    const scores = (landmark: number, values: number[]) =>
      values.map((score) => ({ landmark, score, error: score, area: (q: number) => q * score }))
    const [eighty] = conformalRegions(
      'radius',
      [...scores(0, [1, 2, 3, 4]), ...scores(1, [10, 20, 30, 40])],
      [...scores(0, [4, 5]), ...scores(1, [1, 2])],
      ['S', 'N'],
    )
    expect(eighty).toMatchObject({ level: 0.8, all: { points: 4, coverage: 0.75 } })
    expect(eighty?.perLandmark[0]).toMatchObject({
      name: 'S',
      calibration: 4,
      quantile: 4,
      coverage: 0.5,
      meanArea: 18,
      medianArea: 18,
      areaIqr: [17, 19],
      adaptivity: 1,
    })
    expect(eighty?.perLandmark[1]).toMatchObject({ quantile: 40, coverage: 1 })
  })
})
