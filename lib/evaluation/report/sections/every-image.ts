/** Every image's figures in one table that sorts. */

import type { ReportContent } from '../content.js'
import { figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'
import { type Cell, number, table, words } from '../table.js'

/** Order of images: those with landmarks that were not found first, then by mean error. */
export function worstFirst(
  a: { missing: number; mre: number },
  b: { missing: number; mre: number },
): number {
  const value = (mre: number) => (Number.isNaN(mre) ? -1 : mre)
  return b.missing - a.missing || value(b.mre) - value(a.mre)
}

export function everyImageSection({ scores, cases }: ReportContent): Markup | null {
  if (scores === null) return null
  const anchors = new Map(cases.map((shown, c) => [shown.image.id, `image-${c}`]))
  const rows = [...scores.result.perImage].sort(worstFirst)
  const name = (id: string) => {
    const anchor = anchors.get(id)
    return anchor === undefined ? id : html`<a href="#${anchor}" data-open="${anchor}">${id}</a>`
  }
  return section(
    'every-image',
    'Every image',
    html`<details><summary>Figures of ${rows.length} images, worst first</summary>${figure(
      table({
        label: 'Figures of each image',
        sortable: true,
        heads: [
          'image',
          'mean, mm',
          'largest, mm',
          { name: 'at', kind: 'text', fixed: true },
          'points',
          'not found',
        ],
        rows: rows.map((row, i): [Cell, ...Cell[]] => [
          { content: name(row.id), key: rows.length - i },
          number(row.mre),
          number(row.max),
          words(row.worst),
          number(row.points, 0),
          number(row.missing, 0, row.missing > 0 ? 'bad' : ''),
        ]),
      }),
      {
        id: 'image-table',
        title: 'Image by image',
        wide: true,
        data: {
          columns: ['image', 'points', 'missing', 'mre', 'max', 'worst'],
          rows: rows.map(({ id, points, missing, mre, max, worst }) => [
            id,
            points,
            missing,
            mre,
            max,
            worst,
          ]),
        },
      },
    )}</details>`,
  )
}
