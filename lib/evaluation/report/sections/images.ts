/** Every image with its points, worst first; enlarged, each can be searched at the original resolution. */

import { fixed } from '../../text.js'
import type { Case, Layer, ReportContent } from '../content.js'
import { cropToPoints, drawMarks, errorText, keySymbol } from '../drawing.js'
import { absent, figure, section } from '../figure.js'
import { html, type Insertable, type Markup, trusted } from '../html.js'
import { isReduced } from '../pictures.js'

/** On the screen a card is about so many pixels wide: symbols are drawn for that. */
const shownWidth = 330

function image(id: string, { uri, x, y, width, height }: Layer): Markup {
  return html`<image id="${id}" href="${uri}" x="${x}" y="${y}" width="${width}" height="${height}" preserveAspectRatio="none"/>`
}

/** Each picture once: cards, film strips and the enlarged image refer to it. */
export function pictureStore(cases: readonly Case[]): Markup {
  const pictures = cases.map(({ picture, heat, film, image: { width, height } }, c) => [
    'uri' in picture && image(`picture-${c}`, { uri: picture.uri, x: 0, y: 0, width, height }),
    heat && image(`heat-${c}`, heat),
    film.map(({ layer }, f) => image(`film-${c}-${f}`, layer)),
  ])
  const originals = cases.map(
    ({ original }, c) =>
      original &&
      html`<script type="text/plain" id="original-${c}">${trusted(original)}</script>\n`,
  )
  return html`<svg class="store" width="0" height="0" aria-hidden="true"><defs>${pictures}</defs></svg>
${originals}`
}

/** The three largest errors, in words. */
function largestErrors({ errors, landmarks }: Case): string {
  if (errors === null) return ''
  return errors
    .map((error, j) => ({ error, name: landmarks[j] as string }))
    .filter(({ error }) => !Number.isNaN(error))
    .sort((a, b) => (a.error === b.error ? 0 : b.error - a.error))
    .slice(0, 3)
    .map(({ error, name }) => `${name}${errorText(error)}`)
    .join(', ')
}

/** `meanError` in mm, or null. */
function card(shown: Case, c: number, meanError: number | null): Markup {
  const { image: about, picture, heat, film, landmarks, errors, expected } = shown
  const { id, width, height } = about
  const crop = cropToPoints(shown)
  const ground =
    'uri' in picture
      ? html`<use class="ground" href="#picture-${c}"/>`
      : html`<rect class="blank" width="${width}" height="${height}"/>`
  const details = landmarks.map((_, j) => [errors?.[j] ?? null, expected[j] ?? null])
  return html`<figure class="card" id="image-${c}" data-id="${id}" data-mean="${meanError === null || Number.isNaN(meanError) ? '' : fixed(meanError)}" data-steps="${film.map(({ t }) => t).join(' ')}" data-figures="${JSON.stringify(details.map((row) => row.map((value) => (value === Number.POSITIVE_INFINITY ? 'not found' : value === null ? null : Number(value.toFixed(2))))))}">
<button type="button" class="enlarge" aria-label="Enlarge image ${id}${meanError !== null && !Number.isNaN(meanError) ? `, mean error ${fixed(meanError)} mm` : ''}"><svg viewBox="${crop.join(' ')}" data-size="${width} ${height}" data-reduced="${isReduced(about) ? 1 : 0}" style="--k:${(crop[2] / shownWidth).toFixed(2)}" aria-hidden="true">${ground}${heat && html`<use class="heat" href="#heat-${c}"/>`}${drawMarks(shown)}</svg></button>
<figcaption><b>${id}</b>${meanError !== null && html`<span class="mean">${fixed(meanError)} mm</span>`}<span class="detail">${largestErrors(shown)}</span>${'missing' in picture && html`<span class="detail">Without picture: ${picture.missing}.</span>`}</figcaption>
</figure>`
}

function layer(name: string, text: Insertable, key: Markup | null, shown: boolean): Markup {
  return html`<label><input type="checkbox" id="show-${name}"${shown && trusted(' checked')}>${key}${text}</label>`
}

/** What is drawn, as far as there is any of it; the script takes it along into the enlarged image. */
function layers(cases: readonly Case[]): Markup {
  const some = (has: (shown: Case) => boolean) => cases.some(has)
  const line = (kind: string) => html`<i class="key ${kind}" aria-hidden="true"></i>`
  const truth = some((shown) => shown.truth !== null)
  const scaled = some((shown) => shown.truth !== null && shown.scale !== null)
  return html`<fieldset class="layers"><legend>What is drawn</legend>
${layer('predicted', 'predicted', keySymbol('predicted'), true)}
${truth && layer('truth', 'true', keySymbol('truth'), true)}
${truth && layer('vector', 'error (red: over 2 mm)', line('vector'), true)}
${scaled && layer('ring-2', '2 mm', line('ring'), true)}
${scaled && layer('ring-4', '4 mm', line('ring'), false)}
${some((shown) => shown.junior !== null) && layer('junior', 'junior doctor', keySymbol('junior'), false)}
${some((shown) => shown.senior !== null) && layer('senior', 'senior doctor', keySymbol('senior'), false)}
${some(({ spreads }) => spreads.some(Boolean)) && layer('spread', '95 % ellipse', line('spread'), false)}
${some(({ chains }) => chains.length > 0) && layer('chains', 'single chains', line('chains'), false)}
${layer('name', 'names', null, false)}
${some(({ heat }) => heat !== null) && html`<label class="slider">heatmaps <input type="range" id="heat" min="0" max="100" step="5" value="0" aria-label="Opacity of the heatmaps in percent"><output for="heat">0 %</output></label>`}
</fieldset>`
}

/** Points of all images that are shown, as data. */
function pointData(cases: readonly Case[]) {
  return {
    columns: [
      'image',
      'landmark',
      'error',
      'expected',
      'predicted_x_px',
      'predicted_y_px',
      'true_x_px',
      'true_y_px',
      'junior_x_px',
      'junior_y_px',
      'senior_x_px',
      'senior_y_px',
    ],
    rows: cases.flatMap((shown) =>
      shown.landmarks.map((name, j) => [
        shown.image.id,
        name,
        shown.errors?.[j] ?? null,
        shown.expected[j] ?? null,
        ...[shown.predicted, shown.truth, shown.junior, shown.senior].flatMap((points) =>
          points?.[j] ? [...points[j]] : [null, null],
        ),
      ]),
    ),
  }
}

/** Remarks on what the predictions do not store. */
function absences(cases: readonly Case[]): Markup[] {
  const none = (has: (shown: Case) => boolean) => !cases.some(has)
  const lines = [
    none(({ chains }) => chains.length > 0) &&
      'The predictions store no single chains: predict with --chains 20 to see them.',
    none(({ spreads }) => spreads.some(Boolean)) &&
      'The predictions store no covariances, so there are no ellipses.',
    none(({ heat }) => heat !== null) &&
      'No stored heatmaps were found: predict with --heatmaps DIR, and give the report the same folder.',
  ]
  return lines.filter((line) => line !== false).map((line) => absent(line))
}

export function imagesSection(content: ReportContent): Markup | null {
  const { cases, scores, imageCount } = content
  if (cases.length === 0) return null
  const means = new Map(scores?.result.perImage.map(({ id, mre }) => [id, mre]))
  const part = cases.length < imageCount ? `, ${cases.length} of ${imageCount}` : ''
  const originals = cases.filter(({ original }) => original !== null).length
  return section(
    'images',
    `${scores ? 'Images, worst first' : 'Images'}${part}`,
    layers(cases),
    absences(cases),
    figure(
      html`<div class="cards">${cases.map((shown, c) => card(shown, c, means.get(shown.image.id) ?? null))}</div>`,
      {
        id: 'points',
        title: 'Points on the images',
        wide: true,
        note: html`Pictures are cropped to the points. Enlarged, they are whole${originals > 0 && `; the first ${originals} then have all pixels of the original`}.${scores && ' Images with a landmark that was not found come before all others.'}`,
        data: pointData(cases),
      },
    ),
  )
}

/** The enlarged image; its drawing, its list of points and the layers come with it when it opens. */
export const viewer = html`<dialog class="viewer" aria-labelledby="viewer-title">
<div class="bar"><h2 id="viewer-title"></h2>
<button type="button" data-act="previous" aria-label="Previous image" title="Previous image (page up)">&#8592;</button><button type="button" data-act="next" aria-label="Next image" title="Next image (page down)">&#8594;</button>
<button type="button" data-act="out" aria-label="Zoom out" title="Zoom out (-)">&minus;</button><button type="button" data-act="in" aria-label="Zoom in" title="Zoom in (+)">+</button><button type="button" data-act="fit" title="Whole image (0)">Whole</button>
<button type="button" data-act="close">Close</button></div>
<div class="stage" tabindex="0" role="application" aria-label="The image. Arrow keys move it, plus and minus zoom, 0 shows all of it."></div>
<div class="side"><p class="resolution"></p><label class="slider steps" hidden>chain <input type="range" min="0" value="0" step="1" aria-label="Step of the reverse chain"><output></output></label><div class="layer-place"></div><h3>Points, worst first</h3><ol class="point-list"></ol></div>
</dialog>`
