/** Confusion matrices of clinical classes, and what is read off them. */

import { mean } from '../statistics/index.js'

/** Counts [class of the truth][class of the prediction]. */
export type Confusion = readonly (readonly number[])[]

/** A pair of classes that is counted `times` times; -1: the value is not known. */
export function confusionOf(
  classes: number,
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  times?: ArrayLike<number>,
): Confusion {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  for (let i = 0; i < truth.length; i++) {
    const [t, p] = [truth[i] as number, predicted[i] as number]
    const row = counts[t]
    if (row !== undefined && p >= 0) row[p] = (row[p] as number) + (times?.[i] ?? 1)
  }
  return counts
}

export function transpose(confusion: Confusion): Confusion {
  return confusion.map((_, j) => confusion.map((row) => row[j] as number))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Share of each truth's class that is predicted as such, in [0, 1]; NaN for a class that the truth does not have. */
export function recalls(confusion: Confusion): number[] {
  return confusion.map((row, i) => (row[i] as number) / sum(row))
}

/** Mean recall over the classes that the truth has (balanced accuracy), in [0, 1]. */
export function meanRecall(confusion: Confusion): number {
  return mean(recalls(confusion).filter((recall) => !Number.isNaN(recall)))
}

/** Share of equal classes in [0, 1]. */
export function accuracy(confusion: Confusion): number {
  return sum(confusion.map((row, i) => row[i] as number)) / sum(confusion.map(sum))
}
