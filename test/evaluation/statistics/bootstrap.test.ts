import { describe, expect, it } from 'vitest'
import {
  bootstrapIntervals,
  mean,
  populationSd,
  quantile,
  seededUniform,
} from '#lib/evaluation/statistics/index.js'
import { lehmer } from '../fixtures.js'

describe('statistics', () => {
  it('divides the standard deviation by n', () => {
    expect(populationSd([2, 4, 4, 4, 5, 5, 7, 9])).toBe(2)
  })

  it('has no mean and no deviation of nothing', () => {
    expect(mean([])).toBeNaN()
    expect(populationSd([])).toBeNaN()
    expect(quantile([], 0.5)).toBeNaN()
  })

  it('interpolates quantiles as numpy.quantile does', () => {
    const sorted = [1, 2, 4, 8, 16]
    // numpy.quantile([1, 2, 4, 8, 16], [0, .1, .5, .9, .95, 1])
    const expected = [1, 1.4, 4, 12.8, 14.4, 16]
    for (const [i, q] of [0, 0.1, 0.5, 0.9, 0.95, 1].entries()) {
      expect(quantile(sorted, q)).toBeCloseTo(expected[i] as number, 12)
    }
  })

  it('draws the published numbers of mulberry32', () => {
    const uniform = seededUniform(1)
    expect([uniform(), uniform(), uniform()].map((value) => value * 2 ** 32)).toEqual([
      2693262067, 11749833, 2265367787,
    ])
  })

  it('gives the same interval for the same seed and another one for another seed', () => {
    const values = Array.from({ length: 40 }, (_, i) => Math.sin(i))
    const statistic = (drawn: Int32Array) => [
      values.reduce((sum, value, i) => sum + value * (drawn[i] as number), 0) / values.length,
    ]
    const first = bootstrapIntervals(40, statistic)
    expect(bootstrapIntervals(40, statistic)).toEqual(first)
    expect(bootstrapIntervals(40, statistic, { seed: 1 })).not.toEqual(first)
  })

  it('finds the interval of a mean that the normal distribution predicts', () => {
    const values = Array.from({ length: 400 }, (_, i) => (i % 20) - 9.5)
    const [[low, high] = [0, 0]] = bootstrapIntervals(
      400,
      (drawn) => [values.reduce((sum, value, i) => sum + value * (drawn[i] as number), 0) / 400],
      { resamples: 4000 },
    )
    const half = (1.96 * populationSd(values)) / Math.sqrt(400)
    expect(low / -half).toBeCloseTo(1, 1)
    expect(high / half).toBeCloseTo(1, 1)
  })

  it('draws every time as many units as there are', () => {
    bootstrapIntervals(
      7,
      (drawn) => {
        expect(drawn.reduce((sum, times) => sum + times, 0)).toBe(7)
        return [0]
      },
      { resamples: 50 },
    )
  })

  it.each(['percentile', 'bca'] as const)(
    'holds the true mean in 95 % +- 2 of the %s intervals of 1000 samples',
    (method) => {
      const uniform = lehmer(11)
      const samples = 1000
      let covered = 0
      for (let sample = 0; sample < samples; sample++) {
        const values = Array.from({ length: 60 }, () => uniform() + uniform() + uniform())
        const total = (drawn: Int32Array) => drawn.reduce((sum, times) => sum + times, 0)
        const [[low, high] = [0, 0]] = bootstrapIntervals(
          60,
          (drawn) => [
            values.reduce((sum, value, i) => sum + value * (drawn[i] as number), 0) / total(drawn),
          ],
          { resamples: 400, seed: sample, method },
        )
        if (low <= 1.5 && 1.5 <= high) covered++
      }
      expect(Math.abs(covered / samples - 0.95)).toBeLessThanOrEqual(0.02)
    },
  )
})
