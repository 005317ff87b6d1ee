/** Charts of predicted uncertainty against what was found: calibration, outliers, and what is gained by leaving the unsure out. */

import type { CoverageCurve } from '../../uncertainty/coverage.js'
import type { ErrorCorrelation } from '../../uncertainty/ere.js'
import type { OutlierRoc } from '../../uncertainty/outliers.js'
import type { Reliability } from '../../uncertainty/reliability.js'
import type { RiskCoverage } from '../../uncertainty/risk-coverage.js'
import type { Markup } from '../html.js'
import { chart, Plot } from './chart.js'

const square = { width: 360, height: 340, marginTop: 24 }

/** What would be exactly right. */
function diagonal(to: number) {
  return Plot.line(
    [
      [0, 0],
      [to, to],
    ],
    { stroke: 'var(--soft)', strokeDasharray: '3 3' },
  )
}

/** Named curves, each with the name of its colour. */
export interface CoverageSeries {
  name: string
  kind: string
  curve: CoverageCurve
}

/** How often regions hold the truth, against how often they claim to. */
export function regionCoverage(series: readonly CoverageSeries[]): Markup {
  return chart(
    {
      ...square,
      x: { label: 'claimed, %', domain: [0, 100], grid: true, ticks: 5 },
      y: { label: 'found inside, %', domain: [0, 100], grid: true, ticks: 5 },
      marks: [
        diagonal(100),
        series.map(({ kind, curve }) => [
          Plot.line(curve.levels, {
            x: (level: number) => 100 * level,
            y: (_, i) => 100 * (curve.coverage[i] as number),
            stroke: `var(--${kind})`,
            strokeWidth: 2.5,
          }),
          Plot.dot(curve.levels, {
            x: (level: number) => 100 * level,
            y: (_, i) => 100 * (curve.coverage[i] as number),
            r: 3,
            fill: `var(--${kind})`,
            title: (level: number, i: number) =>
              `claimed ${Math.round(100 * level)} %, found ${(100 * (curve.coverage[i] as number)).toFixed(1)} %`,
          }),
        ]),
      ],
    },
    `Coverage of ${series.map(({ name, curve }) => `${name}: 95 % claimed, ${(100 * (curve.coverage.at(-1) ?? Number.NaN)).toFixed(1)} % found`).join('; ')}`,
  )
}

/** Share of hits against the probability of the hottest pixel, bin by bin. */
export function modeReliability({ bins }: Reliability): Markup {
  const filled = bins.filter(({ points }) => points > 0)
  const total = filled.reduce((sum, { points }) => sum + points, 0)
  // A bin of a few points may have any share of hits; it may lie above the chart.
  const weighty = filled.filter(({ points }) => points >= 0.02 * total)
  const most = Math.max(
    0.15,
    ...weighty.flatMap(({ confidence, accuracy }) => [confidence, accuracy]),
  )
  return chart(
    {
      ...square,
      x: {
        label: 'probability of the hottest pixel',
        domain: [0, 1.05 * most],
        grid: true,
        ticks: 5,
      },
      y: { label: 'share of points on it', domain: [0, 1.05 * most], grid: true, ticks: 5 },
      r: { domain: [0, Math.max(1, ...filled.map(({ points }) => points))], range: [3, 12] },
      marks: [
        diagonal(1.05 * most),
        Plot.ruleX(filled, {
          clip: true,
          x: 'confidence',
          y1: 'confidence',
          y2: 'accuracy',
          stroke: 'var(--prediction)',
          strokeOpacity: 0.6,
        }),
        Plot.dot(filled, {
          clip: true,
          x: 'confidence',
          y: 'accuracy',
          r: 'points',
          fill: 'var(--prediction)',
          fillOpacity: 0.8,
          title: ({ points, confidence, accuracy }: Reliability['bins'][number]) =>
            `${points} of ${total} points: probability ${confidence.toFixed(3)}, hits ${accuracy.toFixed(3)}`,
        }),
      ],
    },
    `Reliability of the hottest pixel in ${filled.length} bins of ${total} points`,
  )
}

/** Mean true error against mean expected error, in blocks of points in the order of the latter. */
export function expectedErrors({ blocks }: ErrorCorrelation): Markup {
  const points = blocks.expected.map((expected, i) => ({
    expected,
    error: blocks.error[i] as number,
  }))
  const most = 1.05 * Math.max(...points.flatMap(({ expected, error }) => [expected, error]))
  return chart(
    {
      ...square,
      x: { label: 'expected radial error, mm', domain: [0, most], grid: true, ticks: 5 },
      y: { label: 'true radial error, mm', domain: [0, most], grid: true, ticks: 5 },
      marks: [
        diagonal(most),
        Plot.dot(points, {
          x: 'expected',
          y: 'error',
          r: 4,
          fill: 'var(--prediction)',
          fillOpacity: 0.7,
        }),
      ],
    },
    `True against expected error of ${points.length} blocks of ${blocks.size} points`,
  )
}

/** How well the expected error finds the outliers. */
export function outlierCurves(curves: readonly (OutlierRoc & { kind: string })[]): Markup {
  return chart(
    {
      ...square,
      x: { label: 'false alarms, %', domain: [0, 100], grid: true, ticks: 5 },
      y: { label: 'outliers found, %', domain: [0, 100], grid: true, ticks: 5 },
      marks: [
        diagonal(100),
        curves.map(({ falsePositiveRate, truePositiveRate, kind }) =>
          Plot.line(falsePositiveRate, {
            x: (rate: number) => 100 * rate,
            y: (_, i) => 100 * (truePositiveRate[i] as number),
            stroke: `var(--${kind})`,
            strokeWidth: 2.5,
          }),
        ),
      ],
    },
    `Outliers found by the expected error: ${curves.map(({ outlierAbove, auc }) => `over ${outlierAbove} mm, area ${auc.toFixed(2)}`).join('; ')}`,
  )
}

/** Error of what is kept when the least sure points are left out. */
export function retainedErrors(own: RiskCoverage, oracle: RiskCoverage): Markup {
  const rows = own.coverage.map((share, i) => ({
    share: 100 * share,
    own: own.mre[i],
    oracle: oracle.mre[i],
  }))
  return chart(
    {
      ...square,
      x: { label: 'points kept, the surest first, %', domain: [0, 100], grid: true, ticks: 5 },
      y: {
        label: 'MRE of those, mm',
        domain: [0, 1.1 * Math.max(...own.mre)],
        grid: true,
        ticks: 5,
      },
      marks: [
        Plot.ruleY([own.randomAurc], { stroke: 'var(--soft)', strokeDasharray: '3 3' }),
        Plot.line(rows, {
          x: 'share',
          y: 'oracle',
          stroke: 'var(--truth)',
          strokeWidth: 2,
          strokeDasharray: '7 4',
        }),
        Plot.line(rows, { x: 'share', y: 'own', stroke: 'var(--prediction)', strokeWidth: 2.5 }),
      ],
    },
    `MRE of the surest half ${(own.mre[49] ?? Number.NaN).toFixed(2)} mm, of all points ${(own.mre.at(-1) ?? Number.NaN).toFixed(2)} mm`,
  )
}

/** Rate within 2 mm of what is kept. */
export function retainedRate(own: RiskCoverage): Markup {
  const rows = own.coverage.map((share, i) => ({ share: 100 * share, rate: own.sdr2[i] as number }))
  const least = Math.max(0, Math.floor((Math.min(...own.sdr2) - 3) / 10) * 10)
  return chart(
    {
      ...square,
      x: { label: 'points kept, the surest first, %', domain: [0, 100], grid: true, ticks: 5 },
      y: { label: 'within 2 mm, %', domain: [least, 100], grid: true, ticks: 5 },
      marks: [
        Plot.ruleY([own.sdr2.at(-1) as number], { stroke: 'var(--soft)', strokeDasharray: '3 3' }),
        Plot.line(rows, { x: 'share', y: 'rate', stroke: 'var(--prediction)', strokeWidth: 2.5 }),
      ],
    },
    `Rate within 2 mm of the surest half ${(own.sdr2[49] ?? Number.NaN).toFixed(1)} %, of all points ${(own.sdr2.at(-1) ?? Number.NaN).toFixed(1)} %`,
  )
}
