/**
 * The bootstrap over images (evaluation.md 2.6: images are resampled, never single points): percentile and BCa
 * intervals (Efron 1987, J. Am. Stat. Assoc. 82:171-185), and the paired difference of two detectors on the same images.
 */

import { mean, quantile } from './descriptive.js'
import { normal } from './distributions.js'
import { seededUniform } from './random.js'

export interface BootstrapOptions {
  /** Number of resamples; 2000 by default. */
  resamples?: number
  /** Seed of the resampling, so that an interval printed twice is the same; 2015 by default. */
  seed?: number
  /** `percentile` (default), or `bca`: corrected for the bias and the skewness of the statistic. */
  method?: 'percentile' | 'bca'
}

/**
 * Statistics of a set of units (images) as a function of how often each unit is drawn: `drawn` has one entry a unit,
 * and a statistic must not depend on the scale of its sum.
 */
export type DrawnStatistics = (drawn: Int32Array) => readonly number[]

/**
 * Each statistic's values in `resamples` draws of `count` units with replacement, ascending. A resample without a single
 * located point has no mean; it says nothing and is left out.
 */
function resample(
  count: number,
  statistics: DrawnStatistics,
  { resamples = 2000, seed = 2015 }: BootstrapOptions,
): Float64Array[] {
  const uniform = seededUniform(seed)
  const drawn = new Int32Array(count)
  const series: Float64Array[] = []
  for (let draw = 0; draw < resamples; draw++) {
    drawn.fill(0)
    for (let i = 0; i < count; i++) {
      const unit = Math.floor(uniform() * count)
      drawn[unit] = (drawn[unit] as number) + 1
    }
    for (const [s, value] of statistics(drawn).entries()) {
      series[s] ??= new Float64Array(resamples)
      series[s][draw] = value
    }
  }
  return series.map((values) => values.filter((value) => !Number.isNaN(value)).sort())
}

/** The statistics of all units, and with each unit left out: jackknife[s][unit]. */
function jackknife(count: number, statistics: DrawnStatistics) {
  const drawn = new Int32Array(count).fill(1)
  const estimates = statistics(drawn)
  const left = estimates.map(() => new Float64Array(count))
  for (let unit = 0; unit < count; unit++) {
    drawn[unit] = 0
    for (const [s, value] of statistics(drawn).entries()) (left[s] as Float64Array)[unit] = value
    drawn[unit] = 1
  }
  return { estimates, left }
}

/** The two levels at which BCa reads the sorted resamples instead of 0.025 and 0.975 (Efron 1987, equation 6.8). */
function correctedLevels(
  sorted: Float64Array,
  estimate: number,
  left: Float64Array,
): [number, number] {
  const below = sorted.filter((value) => value < estimate).length
  const upTo = sorted.filter((value) => value <= estimate).length
  const bias = normal.quantile((below + upTo) / 2 / sorted.length)
  const centre = mean(left)
  let squares = 0
  let cubes = 0
  for (const value of left) {
    squares += (centre - value) ** 2
    cubes += (centre - value) ** 3
  }
  const acceleration = cubes / (6 * squares ** 1.5)
  const level = (p: number) => {
    const shifted = bias + normal.quantile(p)
    return normal.cdf(bias + shifted / (1 - acceleration * shifted))
  }
  return [level(0.025), level(0.975)]
}

/** The intervals of statistics whose resampled values are known. */
function intervalsOf(
  count: number,
  statistics: DrawnStatistics,
  sorted: readonly Float64Array[],
  method: BootstrapOptions['method'] = 'percentile',
): [number, number][] {
  const read = (values: Float64Array, [low, high]: readonly [number, number]): [number, number] => [
    quantile(values, low),
    quantile(values, high),
  ]
  if (method === 'percentile') return sorted.map((values) => read(values, [0.025, 0.975]))
  const { estimates, left } = jackknife(count, statistics)
  return sorted.map((values, s) =>
    read(values, correctedLevels(values, estimates[s] as number, left[s] as Float64Array)),
  )
}

/**
 * 95 % intervals of several statistics of a set of `count` units, by resampling units with replacement.
 * A BCa interval that does not exist (all resamples or all jackknife values equal, or all on one side) is [NaN, NaN].
 */
export function bootstrapIntervals(
  count: number,
  statistics: DrawnStatistics,
  options: BootstrapOptions = {},
): [number, number][] {
  const sorted = resample(count, statistics, options)
  return intervalsOf(count, statistics, sorted, options.method)
}

/** A statistic of detector A less that of detector B on the same images. */
export interface PairedDifference {
  difference: number
  ci95: [number, number]
  /** Two-sided achieved significance: twice the smaller share of resampled differences on one side of 0, at most 1. */
  p: number
}

/** Differences of the statistics of two detectors on the same `count` images: each resample draws the same images for both. */
export function pairedBootstrap(
  count: number,
  statisticsA: DrawnStatistics,
  statisticsB: DrawnStatistics,
  options: BootstrapOptions = {},
): PairedDifference[] {
  const differences: DrawnStatistics = (drawn) => {
    const b = statisticsB(drawn)
    return statisticsA(drawn).map((value, s) => value - (b[s] as number))
  }
  const sorted = resample(count, differences, options)
  const intervals = intervalsOf(count, differences, sorted, options.method)
  return differences(new Int32Array(count).fill(1)).map((difference, s) => {
    const values = sorted[s] ?? new Float64Array()
    const share = (side: (value: number) => boolean) => values.filter(side).length / values.length
    return {
      difference,
      ci95: intervals[s] ?? [Number.NaN, Number.NaN],
      p: Math.min(
        1,
        2 *
          Math.min(
            share((value) => value <= 0),
            share((value) => value >= 0),
          ),
      ),
    }
  })
}
