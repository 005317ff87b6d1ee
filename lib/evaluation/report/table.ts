/** Tables: numbers to the right, a head for every column and row, and, where wanted, heads that sort. */

import { fixed } from '../text.js'
import { html, type Insertable, type Markup, trusted } from './html.js'

export interface Cell {
  readonly content: Insertable
  /** What its column is sorted by; numbers go before nothing. */
  readonly key?: number
  /** Class of the style sheet: `text` stands to the left, `bad` is called out. */
  readonly kind?: string
}

/** A number, or a dash where there is none. */
export function number(value: number, digits = 2, kind = ''): Cell {
  return { content: fixed(value, digits), key: value, kind }
}

/** A number with its 95 % interval below it. */
export function withInterval(
  value: number,
  [low, high]: readonly [number, number],
  digits = 2,
): Cell {
  return {
    content: html`${fixed(value, digits)} <small class="interval">${fixed(low, digits)} to ${fixed(high, digits)}</small>`,
    key: value,
  }
}

export function words(content: Insertable, kind = 'text'): Cell {
  return { content, kind }
}

export interface Head {
  readonly name: string
  /** `text` to the left. */
  readonly kind?: string
  /** No sorting by this column. */
  readonly fixed?: boolean
}

export interface TableOptions {
  /** What the table is about, for a screen reader. */
  label: string
  /** The first head is that of the rows' names. */
  heads: readonly (string | Head)[]
  /** The first cell names its row. */
  rows: readonly (readonly [Cell, ...Cell[]])[]
  sortable?: boolean
}

function sortKey({ key }: Cell): Markup | null {
  return key === undefined
    ? null
    : html` data-key="${Number.isFinite(key) ? Number(key.toPrecision(8)) : ''}"`
}

/** A table that scrolls sideways where the page is narrow; it can be reached by the keyboard for that. */
export function table({ label, heads, rows, sortable = false }: TableOptions): Markup {
  const columns = heads.map((head) => (typeof head === 'string' ? { name: head } : head))
  const head = columns.map(({ name, kind = '', fixed: still = false }) =>
    sortable && !still
      ? html`<th scope="col" class="${kind}"><button type="button">${name}</button></th>`
      : html`<th scope="col" class="${kind}">${name}</th>`,
  )
  const body = rows.map(
    ([first, ...rest]) =>
      html`<tr><th scope="row"${sortKey(first)}>${first.content}</th>${rest.map((cell) => html`<td class="${cell.kind}"${sortKey(cell)}>${cell.content}</td>`)}</tr>\n`,
  )
  const kind = trusted(sortable ? ' class="sortable"' : '')
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table${kind}><caption class="hidden">${label}</caption>
<thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table></div>`
}
