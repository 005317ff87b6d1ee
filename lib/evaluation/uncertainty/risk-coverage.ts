/** What is gained by leaving the points out that a model is least sure of (El-Yaniv and Wiener, JMLR 2010, 11:1605-1641; Geifman and El-Yaniv 2017; evaluation.md 2.4). */

import { isWithin } from '../metrics.js'

export interface RiskCoverage {
  points: number
  /** Retained share of the points: 0.01, 0.02, ... 1; the surest ones first. */
  coverage: number[]
  /** MRE in mm and SDR at 2 mm in percent of the retained. */
  mre: number[]
  sdr2: number[]
  /** Mean of the MRE over every number of retained points, 1 ... n, in mm; what a perfect order by the true error, and what a random one would have. */
  aurc: number
  oracleAurc: number
  randomAurc: number
}

/** Null without any point. */
export function riskCoverage(
  expected: readonly number[],
  errors: readonly number[],
): RiskCoverage | null {
  const n = errors.length
  if (n === 0) return null
  const hits = errors.map((error) => (isWithin(error, 2, 'pooled') ? 100 : 0))
  const [mre, sdr2] = [retainedMeans(expected, errors), retainedMeans(expected, hits)]
  const coverage = Array.from({ length: 100 }, (_, i) => (i + 1) / 100)
  const retained = (share: number) => Math.max(1, Math.round(share * n)) - 1
  const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
  return {
    points: n,
    coverage,
    mre: coverage.map((share) => mre[retained(share)] as number),
    sdr2: coverage.map((share) => sdr2[retained(share)] as number),
    aurc: average(mre),
    oracleAurc: average(retainedMeans(errors, errors)),
    randomAurc: average(errors),
  }
}

/** Mean of the values of the first 1 ... n points in ascending order of the key. Among equal keys each counts as their mean, so that no order of the input matters. */
function retainedMeans(key: readonly number[], values: readonly number[]): number[] {
  const order = key.map((_, i) => i).sort((a, b) => (key[a] as number) - (key[b] as number))
  const means: number[] = []
  let sum = 0
  for (let start = 0; start < order.length; ) {
    let end = start
    let group = 0
    while (end < order.length && key[order[end] as number] === key[order[start] as number]) {
      group += values[order[end] as number] as number
      end++
    }
    for (let i = start; i < end; i++)
      means.push((sum + (group * (i + 1 - start)) / (end - start)) / (i + 1))
    sum += group
    start = end
  }
  return means
}
