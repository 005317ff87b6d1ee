/** How the errors are distributed: the three SDs, micro and macro averages, percentiles, the cumulative error distribution (CED) with its area, and failures (evaluation.md 2.2). */

import {
  annotatedErrors,
  type Convention,
  type ErrorTable,
  errorsOfImage,
  errorsOfLandmark,
  failureRate,
  isWithin,
  standardDeviation,
  thresholds,
} from '../metrics.js'
import { mean, quantile } from '../statistics/index.js'
import { align, fixed } from '../text.js'
import type { Part } from './part.js'

/** The area under the CED is taken up to this many mm; errors beyond it are failures. */
const areaLimit = 4
/** Errors beyond this many mm are gross outliers (as Payer et al. count them). */
const grossLimit = 10
/** The curve is given at every 0.1 mm up to the gross limit. */
const curveSteps = 100

/** MRE in mm and SDR in percent at 2, 2.5, 3 and 4 mm. */
export interface Averages {
  mre: number
  sdr: Record<string, number>
}

/** The error distribution of a set of points. Points that were not found count as failures and lie above the whole curve. */
export interface Curve {
  /** Share of points, 0 to 1, with an error up to each of `mm` of the distribution. */
  share: number[]
  /** Area under the share of points up to 4 mm, divided by 4 mm: 1 is perfect. */
  auc: number
  /** Percent of points beyond so many mm, those that were not found included. */
  failures: { '4': number; '10': number }
  /** Number of points beyond so many mm, those that were not found included. */
  outliers: { '4': number; '10': number }
}

export interface Distribution {
  /** SD in mm under each name; see `Convention`. */
  sd: { pooled: number; official: number; 'per-image': number }
  /** Over points. */
  micro: Averages
  /** Means of the per-landmark figures. */
  macro: Averages
  /** mm, of the found points. */
  percentiles: { p50: number; p90: number; p95: number; max: number }
  /** Where the curves are given, in mm. */
  mm: number[]
  perPoint: Curve
  /** Of the images' mean errors. */
  perImage: Curve
  perLandmark: ({ name: string } & Curve)[]
}

/** The curve of some errors in mm; Infinity for a point that was not found. */
export function errorCurve(errors: readonly number[], convention: Convention = 'pooled'): Curve {
  const beyond = (limit: number) =>
    errors.filter((error) => !isWithin(error, limit, convention)).length
  return {
    share: curveGrid().map(
      (limit) =>
        errors.filter((error) => isWithin(error, limit, convention)).length / errors.length,
    ),
    // The integral of the step function is exact: each point adds what lies to the right of it.
    auc: mean(errors.map((error) => Math.max(0, areaLimit - error) / areaLimit)),
    failures: {
      '4': failureRate(errors, areaLimit, convention),
      '10': failureRate(errors, grossLimit, convention),
    },
    outliers: { '4': beyond(areaLimit), '10': beyond(grossLimit) },
  }
}

function curveGrid(): number[] {
  return Array.from({ length: curveSteps + 1 }, (_, i) => (i * grossLimit) / curveSteps)
}

function averages(errors: readonly number[], convention: Convention): Averages {
  return {
    mre: mean(errors.filter(Number.isFinite)),
    sdr: Object.fromEntries(
      thresholds.map((limit) => [String(limit), 100 - failureRate(errors, limit, convention)]),
    ),
  }
}

/** Means of columns; a landmark without a figure has no part in them. */
function macroAverages(columns: readonly Averages[]): Averages {
  const meanOf = (figure: (column: Averages) => number) =>
    mean(columns.map(figure).filter((value) => !Number.isNaN(value)))
  return {
    mre: meanOf(({ mre }) => mre),
    sdr: Object.fromEntries(
      thresholds.map((limit) => [
        String(limit),
        meanOf(({ sdr }) => sdr[String(limit)] ?? Number.NaN),
      ]),
    ),
  }
}

/** The distribution of a table's errors. */
export function errorDistribution(
  table: ErrorTable,
  convention: Convention = 'pooled',
): Distribution {
  const all = annotatedErrors(table)
  const found = all.filter(Number.isFinite).sort((a, b) => a - b)
  const byLandmark = table.landmarks.map((_, j) => errorsOfLandmark(table, j))
  const imageMeans = table.ids
    .map((_, i) => mean(errorsOfImage(table, i).filter(Number.isFinite)))
    .filter((value) => !Number.isNaN(value))
  return {
    sd: {
      pooled: standardDeviation(table, 'pooled'),
      official: standardDeviation(table, 'official'),
      'per-image': standardDeviation(table, 'per-image'),
    },
    micro: averages(all, convention),
    macro: macroAverages(byLandmark.map((errors) => averages(errors, convention))),
    percentiles: {
      p50: quantile(found, 0.5),
      p90: quantile(found, 0.9),
      p95: quantile(found, 0.95),
      max: found.at(-1) ?? Number.NaN,
    },
    mm: curveGrid(),
    perPoint: errorCurve(all, convention),
    perImage: errorCurve(imageMeans, convention),
    perLandmark: table.landmarks.map((name, j) => ({
      name,
      ...errorCurve(byLandmark[j] ?? [], convention),
    })),
  }
}

function text({ sd, micro, macro, percentiles, perPoint, perImage, perLandmark }: Distribution) {
  const rates = ({ mre, sdr }: Averages) => [
    fixed(mre),
    ...thresholds.map((limit) => fixed(sdr[String(limit)] ?? Number.NaN)),
  ]
  const curve = (name: string, { auc, failures, outliers }: Curve) => [
    name,
    fixed(auc, 3),
    fixed(failures['4']),
    String(outliers['4']),
    fixed(failures['10']),
    String(outliers['10']),
  ]
  const { p50, p90, p95, max } = percentiles
  return [
    'Distribution of the errors',
    `SD: pooled ${fixed(sd.pooled)}, official ${fixed(sd.official)}, per-image ${fixed(sd['per-image'])} mm. Median ${fixed(p50)}, P90 ${fixed(p90)}, P95 ${fixed(p95)}, largest ${fixed(max)} mm.`,
    ...align([
      ['average', 'MRE', ...thresholds.map((limit) => `${limit} mm`)],
      ['micro (over points)', ...rates(micro)],
      ['macro (over landmarks)', ...rates(macro)],
    ]),
    '',
    ...align([
      ['', 'AUC to 4 mm', '> 4 mm %', 'n', '> 10 mm %', 'n'],
      curve('points', perPoint),
      curve('image means', perImage),
      ...perLandmark.map((row) => curve(row.name, row)),
    ]),
  ].join('\n')
}

export const distributionPart: Part = {
  key: 'distribution',
  run: ({ errors, convention }) => {
    const value = errorDistribution(errors, convention)
    return { value, text: text(value) }
  },
}
