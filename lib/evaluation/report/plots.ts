/** The report's drawings as inline SVG: the cumulative error distribution and the small box plots of the landmark table. */

import { thresholds } from '../metrics.js'
import { quantile } from '../statistics/index.js'
import { html, type Markup } from './html.js'

export interface ErrorSeries {
  name: string
  /** Errors in mm; Infinity for a landmark that was not found, so that its curve stays below 100 %. */
  errors: readonly number[]
}

/** The axis ends here (mm): beyond it lie only gross outliers, which the table counts. */
const axisEnd = 10
/** Width of a millimetre in a box plot. */
const boxScale = 12
const plot = { width: 720, height: 340, left: 52, right: 16, top: 16, bottom: 44 }

function plotX(error: number): number {
  return plot.left + (error / axisEnd) * (plot.width - plot.left - plot.right)
}

function plotY(percent: number): number {
  return plot.height - plot.bottom - (percent / 100) * (plot.height - plot.top - plot.bottom)
}

/** Percent of the errors up to each of 201 places of the axis, as SVG path data. `sorted` ascends. */
function curve(sorted: readonly number[]): string {
  const points: string[] = []
  let below = 0
  for (let step = 0; step <= 200; step++) {
    const place = (step / 200) * axisEnd
    while (below < sorted.length && (sorted[below] as number) <= place + 1e-9) below++
    const percent = (100 * below) / sorted.length
    points.push(`${plotX(place).toFixed(1)},${plotY(percent).toFixed(1)}`)
  }
  return `M${points.join('L')}`
}

/** The share of points with an error up to x mm (CED, the errors' empirical distribution). The first series is the one that the report is about. */
export function errorDistribution(series: readonly ErrorSeries[]): Markup {
  const shown = series.filter(({ errors }) => errors.length > 0).slice(0, 4)
  const guides = thresholds.map((threshold) => {
    const x = plotX(threshold).toFixed(1)
    return html`<line class="guide" x1="${x}" x2="${x}" y1="${plot.top}" y2="${plot.height - plot.bottom}"/>`
  })
  const percents = [0, 25, 50, 75, 100].map((percent) => {
    const y = plotY(percent).toFixed(1)
    return html`<line class="grid" x1="${plot.left}" x2="${plot.width - plot.right}" y1="${y}" y2="${y}"/><text x="${plot.left - 8}" y="${y}" dy="0.32em" text-anchor="end">${percent}</text>`
  })
  const millimetres = Array.from({ length: axisEnd + 1 }, (_, mm) => {
    return html`<text x="${plotX(mm).toFixed(1)}" y="${plot.height - plot.bottom + 18}" text-anchor="middle">${mm}</text>`
  })
  const curves = shown.map(({ errors }, s) => {
    return html`<path class="curve series-${s}" d="${curve([...errors].sort((a, b) => a - b))}"/>`
  })
  const legend = shown.map(({ name }, s) => {
    const y = plot.height - plot.bottom - 18 * (shown.length - s) + 2
    const x = plot.width - plot.right - 196
    return html`<path class="curve series-${s}" d="M${x},${y}h26"/><text class="legend" x="${x + 34}" y="${y}" dy="0.32em">${name}</text>`
  })
  return html`<svg class="plot" viewBox="0 0 ${plot.width} ${plot.height}" role="img" aria-label="Share of points in percent with an error up to x millimetres, for ${shown.map(({ name }) => name).join(', ')}">
${percents}${guides}${millimetres}
<text x="${(plot.left + plot.width - plot.right) / 2}" y="${plot.height - 8}" text-anchor="middle">radial error in mm</text>
<text transform="translate(13 ${(plot.height - plot.bottom + plot.top) / 2}) rotate(-90)" text-anchor="middle">% of points up to that error</text>
${curves}${legend}
</svg>`
}

/** The errors of one landmark on an axis of 0 to 10 mm: box from first to third quartile with the median, whiskers at the 5th and 95th percentile. */
export function errorBox(errors: readonly number[]): Markup {
  const sorted = errors.filter(Number.isFinite).sort((a, b) => a - b)
  if (sorted.length === 0) return html``
  const [low, first, median, third, high] = [0.05, 0.25, 0.5, 0.75, 0.95].map((q) =>
    (Math.min(quantile(sorted, q), axisEnd) * boxScale).toFixed(1),
  ) as [string, string, string, string, string]
  const label = `5th to 95th percentile ${quantile(sorted, 0.05).toFixed(2)} to ${quantile(sorted, 0.95).toFixed(2)} mm`
  return html`<svg class="box" viewBox="-1 0 122 14" width="122" height="14" role="img" aria-label="${label}"><line class="guide" x1="${2 * boxScale}" x2="${2 * boxScale}" y1="0" y2="14"/><line class="guide" x1="${4 * boxScale}" x2="${4 * boxScale}" y1="0" y2="14"/><line class="whisker" x1="${low}" x2="${high}" y1="7" y2="7"/><rect x="${first}" y="2.5" width="${(Number(third) - Number(first)).toFixed(1)}" height="9"/><line class="median" x1="${median}" x2="${median}" y1="1" y2="13"/></svg>`
}
