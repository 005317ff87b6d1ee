/** Agreement of two methods of measurement (Bland and Altman, Lancet 1986, 327:307-310; evaluation.md 2.5). */

import { mean, sampleSd } from './descriptive.js'
import { studentT } from './distributions.js'
import { linearRegression, type RegressionLine } from './regression.js'

/** In the unit of the measurements; NaN where fewer than two pairs exist. */
export interface BlandAltman {
  n: number
  /** Mean difference, and its 95 % interval. */
  bias: number
  biasCi95: [number, number]
  /** SD of the differences (n - 1). */
  sd: number
  /** Lower and upper limit of agreement: bias -+ 1.96 SD, each with its 95 % interval. */
  limits: [number, number]
  limitsCi95: [[number, number], [number, number]]
  /** The differences on the means: a slope is a proportional bias. */
  proportional: RegressionLine
}

/** Differences `measured - reference`, pair by pair. */
export function blandAltman(
  measured: readonly number[],
  reference: readonly number[],
): BlandAltman {
  const n = measured.length
  const differences = measured.map((value, i) => value - (reference[i] as number))
  const means = measured.map((value, i) => (value + (reference[i] as number)) / 2)
  const bias = mean(differences)
  const sd = sampleSd(differences)
  const t = n < 2 ? Number.NaN : studentT(n - 1).quantile(0.975)
  const around = (value: number, half: number): [number, number] => [value - half, value + half]
  const limits = around(bias, 1.96 * sd)
  const limitHalf = t * sd * Math.sqrt(1 / n + 1.96 ** 2 / (2 * (n - 1)))
  return {
    n,
    bias,
    biasCi95: around(bias, (t * sd) / Math.sqrt(n)),
    sd,
    limits,
    limitsCi95: [around(limits[0], limitHalf), around(limits[1], limitHalf)],
    proportional: linearRegression(means, differences),
  }
}
