/** The largest errors one by one, at the original resolution, with everything that is known of the point. */

import { fixed } from '../../text.js'
import type { Case, ReportContent, Zoom } from '../content.js'
import { drawMarks, keySymbol } from '../drawing.js'
import { figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'

/** On the screen a cut-out is about so many pixels wide: symbols are drawn for that. */
const shownWidth = 260

function zoomCard({ shown, landmark, error, crop }: Zoom, anchor: string | undefined): Markup {
  const { left, top, width, height, uri } = crop
  const { id } = shown.image
  const name = shown.landmarks[landmark] as string
  const text = error === null ? 'not found' : `${fixed(error, 1)} mm`
  const expected = shown.expected[landmark] ?? Number.NaN
  const ground = uri
    ? html`<image href="${uri}" x="${left}" y="${top}" width="${width}" height="${height}"/>`
    : html`<rect class="blank" x="${left}" y="${top}" width="${width}" height="${height}"/>`
  return html`<li class="zoom" data-id="${id}" data-landmark="${name}"><svg viewBox="${left} ${top} ${width} ${height}" style="--k:${(width / shownWidth).toFixed(3)}" role="img" aria-label="${name} of image ${id}, ${text}">${ground}${drawMarks(shown, [landmark])}</svg>
<p><b>${name}</b> <span class="mean">${text}</span><br>${anchor === undefined ? html`image ${id}` : html`<a href="#${anchor}" data-open="${anchor}" data-landmark="${name}">image ${id}</a>`}${!Number.isNaN(expected) && html`, expected ${fixed(expected, 1)} mm`}</p></li>`
}

function key(kind: Parameters<typeof keySymbol>[0], name: string): Markup {
  return html`<li>${keySymbol(kind)}${name}</li>`
}

/** What the symbols mean, as far as they occur. */
export function symbolLegend(cases: readonly Case[]): Markup {
  const some = (has: (shown: Case) => boolean) => cases.some(has)
  return html`<ul class="legend">${key('predicted', 'predicted')}${some(({ truth }) => truth !== null) && key('truth', 'true')}${some(({ junior }) => junior !== null) && key('junior', 'junior doctor')}${some(({ senior }) => senior !== null) && key('senior', 'senior doctor')}${some(({ truth, scale }) => truth !== null && scale !== null) && html`<li><i class="key ring" aria-hidden="true"></i>2 and 4 mm around the truth</li>`}${some(({ spreads }) => spreads.some(Boolean)) && html`<li><i class="key spread" aria-hidden="true"></i>95 % ellipse of the prediction</li>`}${some(({ chains }) => chains.length > 0) && html`<li><i class="key chains" aria-hidden="true"></i>single chains</li>`}</ul>`
}

export function zoomsSection({ zooms, cases }: ReportContent): Markup | null {
  if (zooms.length === 0) return null
  const anchors = new Map(cases.map((shown, c) => [shown.image.id, `image-${c}`]))
  const list = html`<ol class="zooms">${zooms.map((zoom) => zoomCard(zoom, anchors.get(zoom.shown.image.id)))}</ol>`
  const at = (zoom: Zoom, of: 'truth' | 'predicted', axis: 0 | 1) =>
    zoom.shown[of]?.[zoom.landmark]?.[axis] ?? null
  return section(
    'worst',
    'Largest errors',
    symbolLegend(zooms.map(({ shown }) => shown)),
    figure(list, {
      id: 'worst-points',
      title: `The ${zooms.length} largest errors, pixel by pixel of the original`,
      wide: true,
      data: {
        columns: [
          'image',
          'landmark',
          'error',
          'expected',
          'true_x_px',
          'true_y_px',
          'predicted_x_px',
          'predicted_y_px',
        ],
        rows: zooms.map((zoom) => [
          zoom.shown.image.id,
          zoom.shown.landmarks[zoom.landmark] ?? null,
          zoom.error,
          zoom.shown.expected[zoom.landmark] ?? null,
          at(zoom, 'truth', 0),
          at(zoom, 'truth', 1),
          at(zoom, 'predicted', 0),
          at(zoom, 'predicted', 1),
        ]),
      },
    }),
  )
}
