import { describe, expect, it } from 'vitest'
import { conformalRegions } from '#lib/evaluation/uncertainty/conformal.js'
import { type CoverageCurve, coverageCurve } from '#lib/evaluation/uncertainty/coverage.js'
import { Density } from '#lib/evaluation/uncertainty/density.js'
import { ellipseRegions } from '#lib/evaluation/uncertainty/ellipses.js'
import { HighestDensity } from '#lib/evaluation/uncertainty/highest-density.js'
import { modeReliability } from '#lib/evaluation/uncertainty/reliability.js'
import {
  fitTemperatures,
  labelHeatmap,
  leastNllTemperature,
} from '#lib/evaluation/uncertainty/temperature.js'
import { lehmer } from '../fixtures.js'
import { mapsOf, normals } from './heatmaps.js'

/** Every level is met within four standard errors of a binomial share. */
function expectCalibrated(curve: CoverageCurve | null): void {
  for (const [i, level] of (curve?.levels ?? []).entries()) {
    const error = Math.sqrt((level * (1 - level)) / (curve?.points ?? 0))
    expect(Math.abs((curve?.coverage[i] ?? 0) - level)).toBeLessThan(4 * error)
  }
  expect(curve?.levels).toHaveLength(19)
}

describe('points drawn from what is predicted', () => {
  const uniform = lehmer(14)
  const normal = normals(uniform)

  /** A normal deviation with the covariance L L', L = [[a, 0], [b, c]]. */
  function ellipse(shrink = 1) {
    const [a, b, c] = [0.5 + uniform(), uniform() - 0.5, 0.2 + uniform()]
    const [u, v] = [normal(), normal()]
    const covariance = [[a * a * shrink, a * b * shrink], [a * b * shrink, (b * b + c * c) * shrink]] as const // biome-ignore format: a matrix
    return ellipseRegions([a * u, b * u + c * v], covariance)
  }

  it('lie in the ellipses as often as these claim', () => {
    expectCalibrated(coverageCurve(Array.from({ length: 4000 }, () => ellipse())))
  })

  it('lie less often in ellipses that are too small', () => {
    const curve = coverageCurve(Array.from({ length: 2000 }, () => ellipse(0.25)))
    // D^2 of a quarter of the covariance is four times as large: 1 - (1 - c)^(1/4).
    expect(curve?.coverage[9]).toBeCloseTo(1 - 0.5 ** 0.25, 1)
    expect(curve?.meanAbsoluteGap).toBeGreaterThan(0.25)
  })

  it('lie in the highest-density regions as often as these claim, though few pixels hold everything', () => {
    const weights = Array.from({ length: 30 }, (_, i) => (i % 7 === 0 ? 12 : 1 + (i % 5)))
    const density = Density.of(mapsOf({ width: 6, height: 5, weights: [weights] }), 0)
    const ranked = new HighestDensity(density)
    const cumulative: number[] = []
    for (const mass of density.mass) cumulative.push((cumulative.at(-1) ?? 0) + mass)
    const draw = () => {
      const at = uniform()
      return cumulative.findIndex((sum) => at <= sum)
    }
    const regions = Array.from({ length: 4000 }, () =>
      ranked.regions(density.logs[draw()] as number, 1),
    )
    expectCalibrated(coverageCurve(regions))
  })

  it('lie in conformal regions as often as these claim, whatever the scores', () => {
    const score = () => Math.exp(2 * normal())
    // 99 scores: the 90th of them is exceeded by exactly 10 % of further ones.
    const trials = 3000
    let inside = 0
    for (let trial = 0; trial < trials; trial++) {
      const calibration = Array.from({ length: 99 }, () => ({ landmark: 0, score: score() }))
      const point = { landmark: 0, score: score(), error: 1, area: () => 1 }
      const regions = conformalRegions('radius', calibration, [point], ['S'])
      inside += regions.find(({ level }) => level === 0.9)?.all.coverage ?? 0
    }
    expect(Math.abs(inside / trials - 0.9)).toBeLessThan(4 * Math.sqrt(0.09 / trials))
  })
})

describe('the expected calibration error', () => {
  const uniform = lehmer(15)
  const points = (count: number, bias: number) =>
    Array.from({ length: count }, () => {
      const confidence = 0.15 * uniform()
      const error = uniform() < confidence + bias ? 0 : 9
      return { confidence, error, pixelArea: 1 }
    })

  it('of a calibrated model goes to 0 with the number of points', () => {
    const [few, many] = [modeReliability(points(300, 0)), modeReliability(points(100_000, 0))]
    expect(many?.ece).toBeLessThan(few?.ece ?? 0)
    // Ten bins of 10 000: a standard error of less than 0.3 % each.
    expect(many?.ece).toBeLessThan(0.3)
  })

  it('of a model that is 5 % too modest is 5 %', () => {
    expect(modeReliability(points(100_000, 0.05))?.ece).toBeCloseTo(5, 0)
  })
})

describe('temperature scaling', () => {
  const uniform = lehmer(16)
  const [width, height] = [13, 13]
  const planted = [2, 0.5, 1]

  /** A heatmap that is sharpened or flattened by the planted temperature, and a truth from the right one. */
  function draw(landmark: number) {
    const [cx, cy] = [4 + 4 * uniform(), 4 + 4 * uniform()]
    const log = (x: number, y: number) => -((x - cx) ** 2) / 3 - (y - cy) ** 2 / 6
    const right = Array.from({ length: width * height }, (_, i) =>
      log(i % width, Math.floor(i / width)),
    )
    const shares = right.map(Math.exp)
    let left = uniform() * shares.reduce((a, b) => a + b)
    const truth = shares.findIndex((share) => {
      left -= share
      return left <= 0
    })
    // The model's p^(1 / T) is right where its log is T times the right one.
    const temperature = planted[landmark] as number
    const weights = right.map((value) => Math.exp(value * temperature))
    const density = Density.of(mapsOf({ width, height, weights: [weights] }), 0)
    const { x, y } = density.layout
    const { hottest } = density
    const error = Math.hypot(
      (x[truth] as number) - (x[hottest] as number),
      (y[truth] as number) - (y[hottest] as number),
    )
    return labelHeatmap(density, {
      landmark,
      error,
      pixelArea: 1,
      truth: density.logs[truth] as number,
    })
  }

  const set = (count: number) =>
    planted.flatMap((_, landmark) => Array.from({ length: count }, () => draw(landmark)))
  const [first, second] = [set(400), set(400)]

  it('recovers a planted temperature of each landmark', () => {
    for (const [j, temperature] of planted.entries()) {
      const own = first.filter(({ landmark }) => landmark === j)
      // The standard error of ln T is about 1 / sqrt(n) in two dimensions.
      expect(Math.abs(Math.log(leastNllTemperature(own) / temperature))).toBeLessThan(
        4 / Math.sqrt(own.length),
      )
    }
  })

  it('lowers the calibration error on the half that it was not fitted on', () => {
    const { values, ece, strength, fitted, chosen } = fitTemperatures(first, second, 3)
    expect({ fitted, chosen }).toEqual({ fitted: 1200, chosen: 1200 })
    expect(strength).toBeGreaterThanOrEqual(0.75)
    expect(values[0]).toBeGreaterThan(1.5)
    expect(values[1]).toBeLessThan(0.7)
    expect(ece.after).toBeLessThan(ece.before / 2)
  })

  it('leaves a landmark without a usable point as it is', () => {
    expect(leastNllTemperature([])).toBe(1)
    expect(leastNllTemperature([{ ...draw(0), truth: null }])).toBe(1)
  })
})
