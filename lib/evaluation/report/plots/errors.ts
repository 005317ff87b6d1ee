/** Charts of errors: their cumulative distribution, a landmark's box, and the systematic part on the mean shape. */

import type { EvaluationResult } from '../../evaluate.js'
import type { ErrorTable } from '../../metrics.js'
import { errorsOfLandmark, thresholds } from '../../metrics.js'
import { principalAxes } from '../../uncertainty/covariance.js'
import type { LandmarkCloud } from '../content.js'
import type { Markup } from '../html.js'
import { chart, Plot } from './chart.js'

export interface ErrorSeries {
  name: string
  /** Class of the style sheet's keys, and the name of its colour there. */
  kind: string
  /** Share of the points, 0 to 1, with an error up to each of `mm`. */
  share: readonly number[]
}

const dashes: Record<string, string> = { human: '7 4', shape: '2 4' }

/** The share of points with an error up to x mm (CED), with the intervals of the detection rates. */
export function cumulativeErrors(
  mm: readonly number[],
  series: readonly ErrorSeries[],
  { sdr, sdrCi95 }: Pick<EvaluationResult, 'sdr' | 'sdrCi95'>,
): Markup {
  const rates = thresholds.map((limit) => {
    const [low, high] = sdrCi95[`${limit}`]
    return { limit, rate: sdr[`${limit}`], low, high }
  })
  return chart(
    {
      width: 860,
      height: 360,
      x: { label: 'radial error, mm', domain: [0, 10], ticks: 11 },
      y: { label: 'points up to that error, %', domain: [0, 100], grid: true, ticks: 5 },
      marks: [
        Plot.ruleX([...thresholds], { stroke: 'var(--line)', strokeDasharray: '3 3' }),
        [...series].reverse().map(({ kind, share }) =>
          Plot.lineY(share, {
            x: (_, i) => mm[i],
            y: (value: number) => 100 * value,
            stroke: `var(--${kind})`,
            strokeWidth: kind === 'prediction' ? 3 : 2,
            strokeDasharray: dashes[kind] ?? 'none',
          }),
        ),
        Plot.ruleX(rates, {
          x: 'limit',
          y1: 'low',
          y2: 'high',
          stroke: 'var(--text)',
          strokeWidth: 1.5,
        }),
        Plot.dot(rates, {
          x: 'limit',
          y: 'rate',
          r: 3.5,
          fill: 'var(--text)',
          title: ({ limit, rate, low, high }: (typeof rates)[number]) =>
            `within ${limit} mm: ${rate.toFixed(1)} % (${low.toFixed(1)} to ${high.toFixed(1)})`,
        }),
      ],
    },
    `Share of points with an error up to x millimetres. ${series.map(({ name, share }) => `${name}: ${(100 * (share[mm.indexOf(2)] ?? Number.NaN)).toFixed(1)} % up to 2 mm`).join('; ')}.`,
  )
}

/** The errors of one landmark on an axis of 0 to 10 mm. */
export function errorBox(table: ErrorTable, landmark: number): Markup | null {
  const errors = errorsOfLandmark(table, landmark).filter(Number.isFinite)
  if (errors.length === 0) return null
  return chart(
    {
      width: 170,
      height: 22,
      marginTop: 1,
      marginRight: 3,
      marginBottom: 1,
      marginLeft: 3,
      axis: null,
      x: { domain: [0, 10], clamp: true },
      marks: [
        Plot.ruleX([2, 4], { stroke: 'var(--line)' }),
        Plot.boxX(errors, { fill: 'var(--box)', stroke: 'currentColor', r: 1.5 }),
      ],
    },
    `Errors of ${table.landmarks[landmark]} from 0 to 10 mm`,
  )
}

/** Arrows are drawn so many times as long as they are. */
export const biasScale = 5

/** Points on the ellipse of one standard deviation, enlarged like the arrows. */
function ellipse({ place, bias, covariance }: LandmarkCloud) {
  const [[xx, xy], [, yy]] = covariance
  const [major, minor] = principalAxes(covariance)
  const turn = Math.atan2(2 * xy, xx - yy) / 2
  return Array.from({ length: 33 }, (_, i) => {
    const angle = (2 * Math.PI * i) / 32
    const [u, v] = [major * Math.cos(angle), minor * Math.sin(angle)]
    return {
      x: place[0] + biasScale * (bias[0] + u * Math.cos(turn) - v * Math.sin(turn)),
      y: place[1] + biasScale * (bias[1] + u * Math.sin(turn) + v * Math.cos(turn)),
    }
  })
}

/** Mean error of each landmark as an arrow on the true mean shape, and one standard deviation around it; both five times as long as they are. */
export function biasMap(shape: readonly LandmarkCloud[]): Markup {
  const outlines = shape.flatMap((cloud) =>
    ellipse(cloud).map((point) => ({ ...point, name: cloud.name })),
  )
  const ends = [...outlines, ...shape.map(({ place: [x, y] }) => ({ x, y }))]
  const range = (values: readonly number[]) => {
    const [low, high] = [Math.min(...values), Math.max(...values)]
    return [low - 0.06 * (high - low), high + 0.06 * (high - low)] as [number, number]
  }
  const [x, y] = [range(ends.map((end) => end.x)), range(ends.map((end) => end.y))]
  const width = 620
  const height = Math.min(640, Math.round((width * (y[1] - y[0])) / (x[1] - x[0])))
  return chart(
    {
      width: Math.round((height * (x[1] - x[0])) / (y[1] - y[0])),
      height,
      marginTop: 0,
      marginRight: 0,
      marginBottom: 0,
      marginLeft: 0,
      axis: null,
      x: { domain: x },
      y: { domain: [y[1], y[0]] },
      marks: [
        Plot.line(outlines, {
          x: 'x',
          y: 'y',
          z: 'name',
          fill: 'var(--box)',
          fillOpacity: 0.35,
          stroke: 'var(--prediction)',
          strokeOpacity: 0.5,
        }),
        Plot.dot(shape, {
          x: ({ place }: LandmarkCloud) => place[0],
          y: ({ place }: LandmarkCloud) => place[1],
          r: 2.5,
          fill: 'var(--truth)',
        }),
        Plot.arrow(shape, {
          x1: ({ place }: LandmarkCloud) => place[0],
          y1: ({ place }: LandmarkCloud) => place[1],
          x2: ({ place, bias }: LandmarkCloud) => place[0] + biasScale * bias[0],
          y2: ({ place, bias }: LandmarkCloud) => place[1] + biasScale * bias[1],
          stroke: 'var(--prediction)',
          strokeWidth: 2,
          headLength: 6,
        }),
        Plot.text(shape, {
          x: ({ place }: LandmarkCloud) => place[0],
          y: ({ place }: LandmarkCloud) => place[1],
          text: 'name',
          dx: -7,
          dy: 11,
          textAnchor: 'end',
          fill: 'var(--text)',
          stroke: 'var(--panel)',
          strokeWidth: 3,
        }),
      ],
    },
    'Mean error of each landmark as an arrow on the true mean shape, five times as long as it is',
  )
}
