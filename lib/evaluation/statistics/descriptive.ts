/** Moments, quantiles and ranks: what every other statistic is made of. */

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

/** Sample standard deviation (divided by n - 1, as in the agreement of methods); NaN for fewer than two values. */
export function sampleSd(values: readonly number[]): number {
  const n = values.length
  return n < 2 ? Number.NaN : populationSd(values) * Math.sqrt(n / (n - 1))
}

/** Whether all values are the same. Sums of squares cannot tell: the mean of equal values may differ from them in its last bit. */
export function isConstant(values: readonly number[]): boolean {
  return values.every((value) => value === values[0])
}

/** Quantile by linear interpolation between order statistics (R's type 7, NumPy's default). `sorted` ascends; NaN for no value, and for q outside [0, 1]. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0 || !(q >= 0 && q <= 1)) return Number.NaN
  const position = q * (sorted.length - 1)
  const below = Math.floor(position)
  const low = sorted[below] as number
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number
  // The equality keeps Infinity - Infinity from becoming NaN.
  return low === high ? low : low + (position - below) * (high - low)
}

/** The rank of each value from 1, and the sizes of the groups of equal values; equal values share the mean of their ranks. */
export function ranks(values: readonly number[]): { ranks: number[]; groups: number[] } {
  const order = values
    .map((_, i) => i)
    .sort((a, b) => (values[a] as number) - (values[b] as number))
  const result = new Array<number>(values.length)
  const groups: number[] = []
  for (let start = 0; start < order.length; ) {
    const value = values[order[start] as number]
    let end = start + 1
    while (end < order.length && values[order[end] as number] === value) end++
    for (let i = start; i < end; i++) result[order[i] as number] = (start + 1 + end) / 2
    groups.push(end - start)
    start = end
  }
  return { ranks: result, groups }
}
