/** The few statistics that the metrics need: moments, quantiles, and the bootstrap over images (evaluation.md 2.6: images are resampled, never single points). */

/** Mean of the values; NaN for none. */
export function mean(values: Iterable<number>): number {
  let sum = 0
  let count = 0
  for (const value of values) {
    sum += value
    count++
  }
  return count === 0 ? Number.NaN : sum / count
}

/** Population standard deviation (divided by n, as all published SDs of this benchmark); NaN for no value. */
export function populationSd(values: readonly number[]): number {
  const centre = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)))
}

/** Quantile by linear interpolation between order statistics (R's type 7, NumPy's default). `sorted` ascends; q in [0, 1]; NaN for no value. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN
  const position = q * (sorted.length - 1)
  const below = Math.floor(position)
  const low = sorted[below] as number
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number
  // The equality keeps Infinity - Infinity from becoming NaN.
  return low === high ? low : low + (position - below) * (high - low)
}

/** A generator of numbers in [0, 1) from a 32-bit seed: mulberry32 (Tommy Ettinger's 32-bit mix with a Weyl sequence). Small on purpose: the bootstrap needs repeatability, not quality beyond that. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface BootstrapOptions {
  /** Number of resamples; 2000 by default. */
  resamples?: number
  /** Seed of the resampling, so that an interval printed twice is the same; 2015 by default. */
  seed?: number
}

/**
 * 95 % percentile intervals of several statistics of a set of `count` units (images), by resampling units with replacement.
 * `statistics` gets how often each unit was drawn (length `count`, sum `count`) and returns one number per statistic.
 */
export function bootstrapIntervals(
  count: number,
  statistics: (drawn: Int32Array) => readonly number[],
  { resamples = 2000, seed = 2015 }: BootstrapOptions = {},
): [number, number][] {
  const uniform = seededUniform(seed)
  const drawn = new Int32Array(count)
  const series: Float64Array[] = []
  for (let resample = 0; resample < resamples; resample++) {
    drawn.fill(0)
    for (let i = 0; i < count; i++) {
      const unit = Math.floor(uniform() * count)
      drawn[unit] = (drawn[unit] as number) + 1
    }
    for (const [i, value] of statistics(drawn).entries()) {
      series[i] ??= new Float64Array(resamples)
      series[i][resample] = value
    }
  }
  return series.map((values) => {
    // A resample without a single located point has no mean; it says nothing about the interval.
    const sorted = values.filter((value) => !Number.isNaN(value)).sort()
    return [quantile(sorted, 0.025), quantile(sorted, 0.975)]
  })
}
