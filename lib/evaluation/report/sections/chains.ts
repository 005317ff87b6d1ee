/** Film strips: what a reverse chain believes after a few of its steps, from noise to points. */

import type { ReportContent } from '../content.js'
import { absent, figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'

/** At most so many strips. */
const stripLimit = 6

export function chainsSection({ cases, remarks }: ReportContent): Markup {
  const filmed = cases
    .map((shown, c) => ({ shown, c }))
    .filter(({ shown }) => shown.film.length > 0)
  const lines = remarks.slice(0, 3).map((line) => absent(line))
  if (filmed.length === 0)
    return section(
      'chains',
      'The reverse chain',
      absent(
        'The predictions store no steps of a chain: predict with --heatmaps DIR (a baseline without diffusion has none).',
      ),
      lines,
    )
  const strips = filmed.slice(0, stripLimit).map(({ shown, c }) => {
    const { id, width, height } = shown.image
    const frames = shown.film.map(
      ({ t }, f) =>
        html`<li><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Image ${id} at t = ${t}"><use class="dim" href="#picture-${c}"/><use href="#film-${c}-${f}"/></svg>t = ${t}</li>`,
    )
    return html`<h4><a href="#image-${c}" data-open="image-${c}">Image ${id}</a></h4><ol class="strip" tabindex="0" aria-label="Reverse chain of image ${id}">${frames}</ol>`
  })
  return section(
    'chains',
    'The reverse chain, from noise to points',
    figure(strips, {
      id: 'film-strips',
      title: 'Steps of the first chain',
      wide: true,
      note: 'Estimates of the clean heatmaps, all landmarks together, each as bright as the square root of its share of its own maximum. An enlarged image has a slider for its chain.',
      data: {
        columns: ['image', 'frame', 't'],
        rows: filmed.flatMap(({ shown }) => shown.film.map(({ t }, f) => [shown.image.id, f, t])),
      },
    }),
    lines,
  )
}
