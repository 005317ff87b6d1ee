/** Charts by Observable Plot as inline SVG, made here and not in the browser: they print, need no script, and take their colours from the page's style sheet. */

import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { html, type Markup, trusted } from '../html.js'

/** Plot only makes elements and sets attributes; it needs no browser for that. */
const { document } = parseHTML('<!doctype html><html><body></body></html>')

/** Plot computes coordinates in full precision; a hundredth of a pixel is enough. Only attributes are touched, no text. */
function shorten(markup: string): string {
  return markup.replace(/="[^"]*"/g, (value) => value.replace(/(\d\.\d{2})\d+/g, '$1'))
}

/**
 * A chart. `label` tells a screen reader what is to be seen: the chart is one picture to it, and the figures behind it
 * are in the data beside it. Colours may be `var(--...)` of the style sheet.
 */
export function chart(options: Plot.PlotOptions, label: string): Markup {
  const svg = Plot.plot({
    // linkedom's types are not those of lib.dom, which this package is compiled without.
    document: document as unknown as NonNullable<Plot.PlotOptions['document']>,
    width: 540,
    height: 320,
    marginLeft: 48,
    marginBottom: 40,
    ...options,
  })
  // Plot's own style sheet repeats what the page's has, chart by chart.
  svg.querySelector('style')?.remove()
  svg.setAttribute('class', 'plot')
  for (const name of ['font-family', 'font-size']) svg.removeAttribute(name)
  // A group in a picture has no label of its own; what it is stays readable to whoever looks into the page.
  const inner = shorten(svg.innerHTML).replaceAll(' aria-label=', ' data-mark=')
  const box = svg.getAttribute('viewBox')
  return html`<svg class="plot" viewBox="${box}" role="img" aria-label="${label}" text-anchor="middle" fill="currentColor">${trusted(inner)}</svg>`
}

export { Plot }
