/** Radial errors in mm and what is said about them: MRE, SD and SDR in the conventions of the published evaluations (evaluation.md 2.2). */

import { mean, populationSd } from './statistics/index.js'

/**
 * Radial errors of n images and K landmarks in mm, row by row: `values[i * K + j]`.
 * NaN: the landmark is not annotated, and the pair is left out. Infinity: annotated but not found by the prediction;
 * such a pair is a miss at every SDR threshold and is counted as `missing`, and has no part in means, SDs and quantiles.
 */
export interface ErrorTable {
  readonly ids: readonly string[]
  readonly landmarks: readonly string[]
  readonly values: Float64Array
}

/** SDR thresholds of ISBI 2015 in mm. */
export const thresholds = [2, 2.5, 3, 4] as const

/** Errors above this many mm are counted as gross outliers (as Payer et al. do). */
export const outlierThreshold = 10

/**
 * How the figures are made; published evaluations differ, so every result carries the name.
 *
 * | name | MRE and SDR | SD | within z mm |
 * | --- | --- | --- | --- |
 * | `pooled` (default) | over all points | population SD of all errors | r <= z |
 * | `official` | means of the per-landmark columns, as the organisers' `v2_eva_code.m` | mean of the per-landmark population SDs | r <= z |
 * | `per-image` | over all points | population SD of the image means | r <= z |
 * | `strict` | over all points | population SD of all errors | r < z |
 */
export type Convention = 'pooled' | 'official' | 'per-image' | 'strict'

export const conventions: readonly Convention[] = ['pooled', 'official', 'per-image', 'strict']

/**
 * Slack in mm for ties. Annotations lie on whole pixels, so errors of exactly 20 px at 0.1 mm exist (10 of 2850 in Test 1,
 * doctor against doctor), and hypot(1.2, 1.6) may come out an ulp above 2: a tie must not depend on that.
 */
const tieSlack = 1e-9

/** Whether an error counts as a detection at a threshold; ties count unless the convention is `strict`. Both in mm. */
export function isWithin(error: number, threshold: number, convention: Convention): boolean {
  return convention === 'strict' ? error < threshold - tieSlack : error <= threshold + tieSlack
}

/** Sums over some points, enough for a mean and a success rate. */
interface Tally {
  /** Annotated points, found or not. */
  annotated: number
  /** Points that have an error, and the sum of their errors in mm. */
  found: number
  errorSum: number
  /** Points within each of `thresholds`. */
  hits: number[]
}

function emptyTally(): Tally {
  return { annotated: 0, found: 0, errorSum: 0, hits: thresholds.map(() => 0) }
}

function count(tally: Tally, error: number, convention: Convention): void {
  if (Number.isNaN(error)) return
  tally.annotated++
  if (Number.isFinite(error)) {
    tally.found++
    tally.errorSum += error
  }
  for (const [t, threshold] of thresholds.entries()) {
    if (isWithin(error, threshold, convention)) tally.hits[t] = (tally.hits[t] as number) + 1
  }
}

/** [MRE, SDR at each threshold in percent] of a tally. */
function rates({ annotated, found, errorSum, hits }: Tally): number[] {
  return [errorSum / found, ...hits.map((hit) => (100 * hit) / annotated)]
}

/**
 * The statistics [MRE, SDR at each threshold] of a table as a function of how often each image is drawn,
 * for the plain figures (every image once) and the bootstrap alike.
 */
export function drawableRates(
  table: ErrorTable,
  convention: Convention,
): (drawn: ArrayLike<number>) => number[] {
  const landmarkCount = table.landmarks.length
  // `official` averages columns, so it keeps one group a landmark; the others pool everything in one.
  const groups = convention === 'official' ? landmarkCount : 1
  const tallies = table.ids.map((_, i) => {
    const perGroup = Array.from({ length: groups }, emptyTally)
    for (let j = 0; j < landmarkCount; j++) {
      const error = table.values[i * landmarkCount + j] as number
      count(perGroup[groups === 1 ? 0 : j] as Tally, error, convention)
    }
    return perGroup
  })
  return (drawn) => {
    const totals = Array.from({ length: groups }, emptyTally)
    for (const [i, perGroup] of tallies.entries()) {
      const times = drawn[i] as number
      if (times === 0) continue
      for (let g = 0; g < groups; g++) {
        const total = totals[g] as Tally
        const part = perGroup[g] as Tally
        total.annotated += times * part.annotated
        total.found += times * part.found
        total.errorSum += times * part.errorSum
        for (let t = 0; t < thresholds.length; t++) {
          total.hits[t] = (total.hits[t] as number) + times * (part.hits[t] as number)
        }
      }
    }
    const perGroup = totals.map(rates)
    // A landmark without any annotation (or, for the MRE, without any found point) has no column to average.
    return [0, ...thresholds.keys()].map((_, s) =>
      mean(perGroup.map((figures) => figures[s] as number).filter((value) => !Number.isNaN(value))),
    )
  }
}

/** The percentage of annotated points that fail at a threshold: farther away than it, or not found. NaN for no point. */
export function failureRate(
  errors: readonly number[],
  threshold: number,
  convention: Convention,
): number {
  const failed = errors.filter((error) => !isWithin(error, threshold, convention)).length
  return (100 * failed) / errors.length
}

/** The errors of one landmark (column), unannotated pairs left out. */
export function errorsOfLandmark(table: ErrorTable, landmark: number): number[] {
  const columns = table.landmarks.length
  return table.ids
    .map((_, i) => table.values[i * columns + landmark] as number)
    .filter((error) => !Number.isNaN(error))
}

/** The errors of one image (row), unannotated pairs left out. */
export function errorsOfImage(table: ErrorTable, image: number): number[] {
  const columns = table.landmarks.length
  return [...table.values.subarray(image * columns, (image + 1) * columns)].filter(
    (error) => !Number.isNaN(error),
  )
}

/** All errors of the table, unannotated pairs left out. */
export function annotatedErrors(table: ErrorTable): number[] {
  return [...table.values].filter((error) => !Number.isNaN(error))
}

/** SD of the errors in mm as the convention defines it. */
export function standardDeviation(table: ErrorTable, convention: Convention): number {
  if (convention === 'official') {
    const perLandmark = table.landmarks.map((_, j) =>
      populationSd(errorsOfLandmark(table, j).filter(Number.isFinite)),
    )
    return mean(perLandmark.filter((value) => !Number.isNaN(value)))
  }
  if (convention === 'per-image') {
    const perImage = table.ids.map((_, i) => mean(errorsOfImage(table, i).filter(Number.isFinite)))
    return populationSd(perImage.filter((value) => !Number.isNaN(value)))
  }
  return populationSd([...table.values].filter(Number.isFinite))
}
