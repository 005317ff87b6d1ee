/** Means of columns as drawable statistics, for bootstraps over the rows of a table. */

import type { DrawnStatistics } from './bootstrap.js'

/**
 * values: [rows * columns], row by row -> the mean of each column over the drawn rows. Entries that are not finite have no
 * part in it; the mean of none is NaN.
 */
export function drawnMeans(values: Float64Array, columns: number): DrawnStatistics {
  return (drawn) => {
    const means = new Array<number>(columns)
    for (let j = 0; j < columns; j++) {
      let count = 0
      let sum = 0
      for (let i = 0; i < drawn.length; i++) {
        const times = drawn[i] as number
        const value = values[i * columns + j] as number
        if (times === 0 || !Number.isFinite(value)) continue
        count += times
        sum += times * value
      }
      means[j] = sum / count
    }
    return means
  }
}
