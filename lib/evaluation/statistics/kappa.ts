/** Cohen's kappa: agreement of two classifications beyond chance (1960), with weights for how far two classes lie apart (1968). */

export type KappaWeights = 'none' | 'linear' | 'quadratic'

/**
 * Kappa of a confusion matrix [truth][prediction] of counts; for weights the classes must stand in their order.
 * NaN where chance alone would agree everywhere.
 */
export function cohenKappa(
  confusion: readonly (readonly number[])[],
  weights: KappaWeights = 'none',
): number {
  const rows = confusion.map((row) => row.reduce((sum, count) => sum + count, 0))
  const columns = confusion.map((_, j) =>
    confusion.reduce((sum, row) => sum + (row[j] as number), 0),
  )
  const total = rows.reduce((sum, count) => sum + count, 0)
  const weight = (i: number, j: number) =>
    weights === 'none' ? Number(i !== j) : Math.abs(i - j) ** (weights === 'linear' ? 1 : 2)
  let observed = 0
  let expected = 0
  for (const [i, row] of confusion.entries()) {
    for (const [j, count] of row.entries()) {
      observed += weight(i, j) * count
      expected += (weight(i, j) * (rows[i] as number) * (columns[j] as number)) / total
    }
  }
  return 1 - observed / expected
}
