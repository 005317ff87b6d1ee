/** The report's building blocks: sections, remarks, and figures and tables whose numbers can be taken away as CSV and JSON. */

import { html, type Insertable, type Markup, trusted } from './html.js'

/** The numbers behind a figure. Lengths are in mm unless a column says otherwise; null: does not exist. */
export interface FigureData {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number | null)[])[]
}

/** An entry of a legend: the class of its key, which the style sheet colours, and its name. */
export type LegendEntry = readonly [kind: string, name: string]

/** JSON that can stand in a script element: nothing in it ends the element. Numbers have six digits; one that does not exist is null. */
export function embeddedJson(value: unknown): Markup {
  const text = JSON.stringify(value, (_, part) =>
    typeof part === 'number' && Number.isFinite(part) ? Number(part.toPrecision(6)) : part,
  )
  return trusted(text.replaceAll('<', '\\u003c'))
}

/** Buttons that save the data, or show them as a table; the script makes all three from the one copy in the page. */
function takeaway(id: string, title: string, { columns, rows }: FigureData): Markup {
  return html`<div class="takeaway"><span>Data</span>
<button type="button" data-save="csv" aria-label="Save data of ${title} as CSV">CSV</button>
<button type="button" data-save="json" aria-label="Save data of ${title} as JSON">JSON</button>
<button type="button" data-show aria-expanded="false" aria-label="Show data of ${title} as a table">Table</button>
<script type="application/json" class="data" data-name="${id}">${embeddedJson({ title, columns, rows })}</script></div>`
}

export interface FigureOptions {
  /** Unique in the page; the name of the saved files. */
  id: string
  title: string
  data: FigureData
  legend?: readonly LegendEntry[]
  /** How to read it, and what it says. */
  note?: Insertable
  wide?: boolean
}

/** A picture or table with a title, a legend, a remark and its data. */
export function figure(content: Insertable, options: FigureOptions): Markup {
  const { id, title, data, legend = [], note, wide = false } = options
  const keys = legend.map(
    ([kind, name]) => html`<li><i class="key ${kind}" aria-hidden="true"></i>${name}</li>`,
  )
  return html`<figure class="${wide ? 'figure panel wide' : 'figure panel'}" id="${id}" aria-labelledby="${id}-title">
<h3 id="${id}-title">${title}</h3>
${keys.length > 0 && html`<ul class="legend">${keys}</ul>`}
<div class="content">${content}</div>
${note && html`<figcaption>${note}</figcaption>`}
${takeaway(id, title, data)}
</figure>`
}

/** A section with its heading; null content is left out. */
export function section(id: string, title: string, ...content: Insertable[]): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-heading"><h2 id="${id}-heading">${title}</h2>
${content}
</section>`
}

/** A short line in place of what cannot be shown, and what would make it appear. */
export function absent(text: Insertable): Markup {
  return html`<p class="absent-note">${text}</p>`
}
