/** One image of the report: the picture with true and predicted points, the error vectors between them, and its largest errors in words. */

import type { Point, PredictedImage } from '../predictions.js'
import { fixed } from '../text.js'
import { html, type Markup } from './html.js'
import type { Picture } from './pictures.js'

/** What is drawn of one image; point lists follow `landmarks`, null where nothing is to be drawn. */
export interface Case {
  readonly image: PredictedImage
  readonly picture: Picture
  readonly landmarks: readonly string[]
  readonly predicted: readonly (Point | null)[]
  readonly truth: readonly (Point | null)[] | null
  readonly junior: readonly (Point | null)[] | null
  readonly senior: readonly (Point | null)[] | null
  /** Radial errors in mm; NaN: not annotated, Infinity: not found. Null without annotations. */
  readonly errors: readonly number[] | null
  /** [x, y] in mm per pixel, or null. */
  readonly scale: readonly [number, number] | null
}

/** Errors above this many mm are drawn and counted as misses (the first SDR threshold). */
const missThreshold = 2

function errorText(error: number | undefined): string {
  if (error === undefined || Number.isNaN(error)) return ''
  return Number.isFinite(error) ? ` ${fixed(error, 1)} mm` : ' not found'
}

function landmarkMarks(shown: Case, j: number, unit: number): Markup {
  const name = shown.landmarks[j] as string
  const found = shown.predicted[j]
  const truth = shown.truth?.[j]
  const error = shown.errors?.[j]
  const miss = error !== undefined && error > missThreshold + 1e-9
  const doctor = (point: Point | null | undefined, kind: string) =>
    point &&
    html`<rect class="${kind}" x="${point[0] - unit}" y="${point[1] - unit}" width="${2 * unit}" height="${2 * unit}"/>`
  const ring =
    truth && shown.scale
      ? html`<ellipse class="ring" cx="${truth[0]}" cy="${truth[1]}" rx="${(missThreshold / shown.scale[0]).toFixed(1)}" ry="${(missThreshold / shown.scale[1]).toFixed(1)}"/>`
      : null
  const vector =
    truth &&
    found &&
    html`<line class="vector" x1="${truth[0]}" y1="${truth[1]}" x2="${found[0]}" y2="${found[1]}"/>`
  const label = found ?? truth
  const arm = Math.round(1.5 * unit)
  return html`<g class="${miss ? 'mark miss' : 'mark'}"><title>${name}${errorText(error)}</title>${doctor(shown.junior?.[j], 'junior')}${doctor(shown.senior?.[j], 'senior')}${ring}${vector}${truth && html`<circle class="truth" cx="${truth[0]}" cy="${truth[1]}" r="${unit}"/>`}${found && html`<path class="predicted" d="M${found[0]} ${found[1]}m${-arm} 0h${2 * arm}m${-arm} ${-arm}v${2 * arm}"/>`}${label && html`<text x="${label[0]}" y="${label[1]}" dx="${2 * unit}" dy="${-1.5 * unit}" font-size="${4 * unit}">${name}</text>`}</g>`
}

/** Width by height of a card's picture. */
const cardAspect = 4 / 5

/** The part of an image that a card shows, as an SVG view box: all points that lie inside, with a margin, in the card's aspect. */
function cropToPoints({ image, predicted, truth }: Case): string {
  const { width, height } = image
  const inside = [...predicted, ...(truth ?? [])].filter(
    (point) => point && point[0] >= 0 && point[0] < width && point[1] >= 0 && point[1] < height,
  ) as Point[]
  if (inside.length < 2) return `0 0 ${width} ${height}`
  const margin = 0.06 * Math.max(width, height)
  const [left, right] = bounds(inside.map(([x]) => x))
  const [top, bottom] = bounds(inside.map(([, y]) => y))
  const h = Math.max(bottom - top + 2 * margin, (right - left + 2 * margin) / cardAspect)
  const w = h * cardAspect
  // Slid into the image as far as it fits.
  const x = Math.max(0, Math.min((left + right - w) / 2, width - w))
  const y = Math.max(0, Math.min((top + bottom - h) / 2, height - h))
  return [x, y, Math.min(w, width), Math.min(h, height)].map((value) => value.toFixed(0)).join(' ')
}

function bounds(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)]
}

/** The drawing in the image's own pixels; `data-whole` is the view box of the enlarged picture. The shift by half a pixel takes pixel centres at whole numbers to SVG, where a pixel begins there. */
function drawing(shown: Case): Markup {
  const { width, height, id } = shown.image
  const unit = Math.max(1, Math.round(Math.max(width, height) / 260))
  const marks = shown.landmarks.map((_, j) => landmarkMarks(shown, j, unit))
  const background =
    'uri' in shown.picture
      ? html`<image href="${shown.picture.uri}" width="${width}" height="${height}" preserveAspectRatio="none"/>`
      : html`<rect class="blank" width="${width}" height="${height}"/>`
  return html`<svg viewBox="${cropToPoints(shown)}" data-whole="0 0 ${width} ${height}" role="img" aria-label="Image ${id} with its points">${background}<g transform="translate(.5 .5)">${marks}</g></svg>`
}

/** The three largest errors, in words. */
function largestErrors(shown: Case): string {
  if (shown.errors === null) return ''
  return shown.errors
    .map((error, j) => ({ error, name: shown.landmarks[j] as string }))
    .filter(({ error }) => !Number.isNaN(error))
    .sort((a, b) => (a.error === b.error ? 0 : b.error - a.error))
    .slice(0, 3)
    .map(({ error, name }) => `${name}${errorText(error)}`)
    .join(', ')
}

/** A card: picture, id, mean error and the largest errors. `anchor` is the element's id. `meanError` in mm, or null. */
export function imageCard(shown: Case, anchor: string, meanError: number | null): Markup {
  const { id } = shown.image
  return html`<figure class="card" id="${anchor}">
<button type="button" class="enlarge" aria-label="Enlarge image ${id}">${drawing(shown)}</button>
<figcaption><b>${id}</b>${meanError !== null && html`<span class="mean">${fixed(meanError)} mm</span>`}<span class="detail">${largestErrors(shown)}</span>${'missing' in shown.picture && html`<span class="detail">Without picture: ${shown.picture.missing}.</span>`}</figcaption>
</figure>`
}
