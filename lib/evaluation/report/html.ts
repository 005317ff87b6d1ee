/** HTML by tagged templates in which every inserted value is escaped unless it is markup made the same way: hostile file names and landmark names stay text. */

/** Markup that may be inserted as it is. Only `html` and `trusted` make it. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

export type Insertable = Markup | string | number | null | undefined | false | readonly Insertable[]

/** Text with the five characters replaced that mean something in HTML, in text and in quoted attributes alike. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

function render(value: Insertable): string {
  if (value === null || value === undefined || value === false) return ''
  if (value instanceof Markup) return value.text
  if (typeof value === 'string') return escapeHtml(value)
  if (typeof value === 'number') return String(value)
  return value.map(render).join('')
}

/** Markup from a template; attributes must be written in double quotes. Null, undefined and false insert nothing; arrays insert their parts. */
export function html(parts: TemplateStringsArray, ...values: readonly Insertable[]): Markup {
  return new Markup(parts.reduce((text, part, i) => text + render(values[i - 1]) + part))
}

/** Markup from a text of our own (style sheet, script). */
export function trusted(text: string): Markup {
  return new Markup(text)
}
