/** Holm's step-down correction for several tests (Scand. J. Stat. 1979, 6:65-70). */

/**
 * Adjusted p values in the order given: a test is significant at level a where its adjusted p is at most a. A test without
 * a p (NaN: there was nothing to test) does not count among the tests and stays NaN.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = [...pValues.keys()]
    .filter((i) => !Number.isNaN(pValues[i]))
    .sort((a, b) => (pValues[a] as number) - (pValues[b] as number))
  const adjusted = pValues.map(() => Number.NaN)
  let largest = 0
  for (const [position, i] of order.entries()) {
    largest = Math.max(largest, (order.length - position) * (pValues[i] as number))
    adjusted[i] = Math.min(1, largest)
  }
  return adjusted
}
