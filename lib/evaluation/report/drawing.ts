/**
 * Points drawn over an image, in its own pixels. Lengths of the image (errors, circles of millimetres, ellipses) grow
 * with the picture; symbols keep their size on the screen, which the custom property `--k` takes care of.
 */

import type { Point } from '../predictions.js'
import { fixed } from '../text.js'
import { principalAxes } from '../uncertainty/covariance.js'
import type { Case } from './content.js'
import { html, type Markup } from './html.js'

/** Errors above this many mm are drawn as misses (the first SDR threshold). */
export const missThreshold = 2

/** Radii of the circles around the truth, in mm. */
const rings = [2, 4] as const

/** Radius of the ellipse that holds 95 % of a normal distribution, in standard deviations: sqrt(-2 ln 0.05). */
const ellipse95 = Math.sqrt(-2 * Math.log(0.05))

/** ` 2.3 mm`, ` not found`, or nothing where there is no truth. */
export function errorText(error: number | undefined): string {
  if (error === undefined || Number.isNaN(error)) return ''
  return Number.isFinite(error) ? ` ${fixed(error, 1)} mm` : ' not found'
}

/** A hundredth of a pixel is enough to draw with. */
function short(value: number): number {
  return Number(value.toFixed(2))
}

function symbol(kind: string, point: Point, shape: string): Markup {
  return html`<g transform="translate(${short(point[0])} ${short(point[1])})"><path class="symbol ${kind}" d="${shape}"/></g>`
}

/** Shapes around (0, 0), 10 units wide: the screen's size of a unit is set by `--k`. */
const shapes = {
  predicted: 'M-5 0h10M0-5v10',
  truth: 'M4 0a4 4 0 1 1-8 0a4 4 0 1 1 8 0z',
  junior: 'M-3.5-3.5h7v7h-7z',
  senior: 'M0-5l5 5l-5 5l-5-5z',
}

function ringsOf(truth: Point, [sx, sy]: readonly [number, number]): Markup[] {
  return rings.map(
    (mm) =>
      html`<ellipse class="ring ring-${mm}" cx="${short(truth[0])}" cy="${short(truth[1])}" rx="${short(mm / sx)}" ry="${short(mm / sy)}"/>`,
  )
}

function ellipseOf({ spreads }: Case, j: number): Markup | null {
  const spread = spreads[j]
  if (!spread) return null
  const { centre, covariance } = spread
  const [[xx, xy], [, yy]] = covariance
  const [major, minor] = principalAxes(covariance)
  const turn = (90 / Math.PI) * Math.atan2(2 * xy, xx - yy)
  return html`<ellipse class="spread" rx="${short(ellipse95 * major)}" ry="${short(ellipse95 * minor)}" transform="translate(${short(centre[0])} ${short(centre[1])}) rotate(${short(turn)})"/>`
}

/** One path for the points of all chains: a line of no length with round ends is a dot. */
function chainsOf({ chains }: Case, j: number): Markup | null {
  const dots = chains.flatMap((points) => {
    const point = points[j]
    return point ? [`M${short(point[0])} ${short(point[1])}h0`] : []
  })
  return dots.length === 0 ? null : html`<path class="chains" d="${dots.join('')}"/>`
}

/** Everything that is known of one landmark. */
function marks(shown: Case, j: number): Markup {
  const name = shown.landmarks[j] as string
  const found = shown.predicted[j]
  const truth = shown.truth?.[j]
  const error = shown.errors?.[j]
  const [junior, senior] = [shown.junior?.[j], shown.senior?.[j]]
  const miss = error !== undefined && error > missThreshold + 1e-9
  const label = found ?? truth
  const expected = shown.expected[j] ?? Number.NaN
  const title = `${name}${errorText(error)}${Number.isNaN(expected) ? '' : `, expected ${fixed(expected, 1)} mm`}`
  return html`<g class="${miss ? 'mark miss' : 'mark'}" data-landmark="${name}"><title>${title}</title>
${truth && shown.scale && ringsOf(truth, shown.scale)}${ellipseOf(shown, j)}${chainsOf(shown, j)}
${truth && found && html`<line class="vector" x1="${short(truth[0])}" y1="${short(truth[1])}" x2="${short(found[0])}" y2="${short(found[1])}"/>`}
${junior && symbol('junior', junior, shapes.junior)}${senior && symbol('senior', senior, shapes.senior)}${truth && symbol('truth', truth, shapes.truth)}${found && symbol('predicted', found, shapes.predicted)}
${label && html`<g transform="translate(${short(label[0])} ${short(label[1])})"><text class="symbol name" x="7" y="-6">${name}</text></g>`}</g>`
}

/** The marks of all landmarks, or of those at some places. The shift by half a pixel takes pixel centres at whole numbers to SVG, where a pixel begins there. */
export function drawMarks(
  shown: Case,
  places: readonly number[] = [...shown.landmarks.keys()],
): Markup {
  return html`<g class="marks" transform="translate(.5 .5)">${places.map((j) => marks(shown, j))}</g>`
}

/** A symbol as a key of a legend. */
export function keySymbol(kind: keyof typeof shapes): Markup {
  return html`<svg class="key-symbol mark" viewBox="-7 -7 14 14" aria-hidden="true"><path class="${kind}" d="${shapes[kind]}"/></svg>`
}

/** Width by height of a card's picture. */
const cardAspect = 4 / 5

/** The part of an image that a card shows, as an SVG view box: all points that lie inside, with a margin, in the card's aspect. */
export function cropToPoints({ image, predicted, truth }: Case): [number, number, number, number] {
  const { width, height } = image
  const inside = [...predicted, ...(truth ?? [])].filter(
    (point) => point && point[0] >= 0 && point[0] < width && point[1] >= 0 && point[1] < height,
  ) as Point[]
  if (inside.length < 2) return [0, 0, width, height]
  const margin = 0.06 * Math.max(width, height)
  const [left, right] = bounds(inside.map(([x]) => x))
  const [top, bottom] = bounds(inside.map(([, y]) => y))
  const h = Math.max(bottom - top + 2 * margin, (right - left + 2 * margin) / cardAspect)
  const w = h * cardAspect
  // Slid into the image as far as it fits.
  const x = Math.max(0, Math.min((left + right - w) / 2, width - w))
  const y = Math.max(0, Math.min((top + bottom - h) / 2, height - h))
  return [x, y, Math.min(w, width), Math.min(h, height)].map(Math.round) as [
    number,
    number,
    number,
    number,
  ]
}

function bounds(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)]
}
