/** Holm's step-down correction for several tests (Scand. J. Stat. 1979, 6:65-70). */

/** Adjusted p values in the order given: a test is significant at level a where its adjusted p is at most a. */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues
    .map((_, i) => i)
    .sort((a, b) => (pValues[a] as number) - (pValues[b] as number))
  const adjusted = new Array<number>(pValues.length)
  let largest = 0
  for (const [position, i] of order.entries()) {
    largest = Math.max(largest, (pValues.length - position) * (pValues[i] as number))
    adjusted[i] = Math.min(1, largest)
  }
  return adjusted
}
