/** Bland-Altman charts of clinical measures: differences against means, with bias and limits of agreement (Bland and Altman, Lancet 1986). */

import type { MeasuredImage, MeasureResult } from '../../clinical/evaluate.js'
import type { BlandAltman } from '../../statistics/bland-altman.js'
import type { Markup } from '../html.js'
import { chart, Plot } from './chart.js'

export interface Difference {
  id: string
  mean: number
  difference: number
}

/** Prediction less truth of each image that has both. */
export function differencesOf(images: readonly MeasuredImage[]): Difference[] {
  return images.flatMap(({ id, truth, predicted }) =>
    truth === null || predicted === null
      ? []
      : { id, mean: (truth + predicted) / 2, difference: predicted - truth },
  )
}

/** `human`: the limits of one doctor against the other, for comparison. */
export function blandAltmanChart(
  { name, unit, agreement, perImage }: MeasureResult,
  human: BlandAltman | null,
): Markup {
  const points = differencesOf(perImage)
  const { bias, biasCi95, limits, limitsCi95 } = agreement
  const bands = [biasCi95, ...limitsCi95].filter((band) => band.every(Number.isFinite))
  const digits = unit === '' ? 3 : 1
  const suffix = unit === '' ? '' : unit === '°' ? '°' : ` ${unit}`
  return chart(
    {
      width: 380,
      height: 270,
      marginTop: 24,
      marginLeft: 52,
      marginRight: 48,
      x: { label: `mean of prediction and truth${unit && `, ${unit}`}`, ticks: 5, nice: true },
      y: { label: `prediction − truth${unit && `, ${unit}`}`, ticks: 5, nice: true, grid: true },
      marks: [
        bands.map((band) =>
          Plot.rect([band], {
            y1: (own: readonly number[]) => own[0],
            y2: (own: readonly number[]) => own[1],
            fill: 'var(--box)',
            fillOpacity: 0.35,
          }),
        ),
        Plot.ruleY([0], { stroke: 'var(--soft)' }),
        human
          ? Plot.ruleY(human.limits.filter(Number.isFinite), {
              stroke: 'var(--human)',
              strokeDasharray: '7 4',
            })
          : null,
        Plot.ruleY([bias, ...limits].filter(Number.isFinite), {
          stroke: 'var(--prediction)',
          strokeWidth: 1.5,
        }),
        Plot.text([bias, ...limits].filter(Number.isFinite), {
          frameAnchor: 'right',
          textAnchor: 'start',
          dx: 4,
          y: (value: number) => value,
          text: (value: number) => value.toFixed(digits),
          fill: 'var(--text)',
        }),
        Plot.dot(points, {
          x: 'mean',
          y: 'difference',
          r: 2.5,
          fill: 'var(--prediction)',
          fillOpacity: 0.65,
          title: ({ id, mean, difference }: Difference) =>
            `${id}: mean ${mean.toFixed(digits)}${suffix}, difference ${difference.toFixed(digits)}${suffix}`,
        }),
      ],
    },
    `Bland-Altman chart of ${name}: bias ${bias.toFixed(digits)}${suffix}, limits of agreement ${limits.map((limit) => limit.toFixed(digits)).join(' to ')}${suffix}, ${points.length} images`,
  )
}
