/**
 * Classes with probabilities from sampled chains: each chain is a joint draw of all landmarks, so the measure of each
 * chain is a draw of the measure, correlations between landmarks included (evaluation.md 2.5).
 */

import { mean, quantile } from '../statistics/index.js'
import { classOf, type Measure } from './measure.js'

/** The measure of one image over its chains. */
export interface SampledMeasure {
  /** In the order of the chains; those that miss a point are left out. */
  values: number[]
  /** 2.5 and 97.5 % quantile of the values. */
  interval: [number, number]
  /** Share of the values in each class, in the order of the measure's classes; they sum to 1. */
  probabilities: number[]
}

export function sampledMeasure(measure: Measure, values: readonly number[]): SampledMeasure {
  const sorted = [...values].sort((a, b) => a - b)
  const classes = values.map((value) => classOf(measure, value))
  return {
    values: [...values],
    interval: [quantile(sorted, 0.025), quantile(sorted, 0.975)],
    probabilities: measure.classes.map(
      (_, c) => classes.filter((found) => found === c).length / values.length,
    ),
  }
}

/** Mean over the cases of the squared distance between probabilities and truth, summed over the classes (Brier 1950): in [0, 2], 0 is best. */
export function brierScore(
  probabilities: readonly (readonly number[])[],
  truth: readonly number[],
): number {
  return mean(
    probabilities.map((row, i) =>
      row.reduce((total, p, c) => total + (p - Number(c === truth[i])) ** 2, 0),
    ),
  )
}

const confidenceBins = 10

/**
 * Expected calibration error of the likeliest class in percent: 100 sum over bins (n_b / N) |accuracy_b - confidence_b|,
 * in ten equal bins (low, high] of the confidence (Guo et al., ICML 2017).
 */
export function classCalibrationError(
  probabilities: readonly (readonly number[])[],
  truth: readonly number[],
): number {
  const bins = Array.from({ length: confidenceBins }, () => ({ correct: 0, confidence: 0 }))
  for (const [i, row] of probabilities.entries()) {
    const confidence = Math.max(...row)
    const bin = bins[Math.max(0, Math.ceil(confidence * confidenceBins) - 1)]
    if (bin === undefined) continue
    bin.confidence += confidence
    bin.correct += Number(row.indexOf(confidence) === truth[i])
  }
  const gaps = bins.reduce((total, bin) => total + Math.abs(bin.correct - bin.confidence), 0)
  return (100 * gaps) / probabilities.length
}
