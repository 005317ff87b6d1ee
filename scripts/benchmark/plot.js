// Plots of benchmark results as SVG files, by Observable Plot.
import { writeFileSync } from 'node:fs'
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const { document } = parseHTML('<!doctype html><html><body></body></html>')
const top = 56

const inXml = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')

/** Writes what Plot makes of `options`, under a title; readable on white and on dark pages. */
export function writePlot(file, options, { title, subtitle }) {
  const svg = Plot.plot({ document, width: 860, style: { fontSize: '12px' }, ...options })
  const [width, height] = ['width', 'height'].map((name) => Number(svg.getAttribute(name)))
  svg.setAttribute('y', String(top))
  // Plot computes coordinates in full precision; a hundredth of a pixel is enough.
  const inner = svg.outerHTML.replace(/="[^"]*"/g, (value) =>
    value.replace(/(\d\.\d{2})\d+/g, '$1'),
  )
  writeFileSync(
    file,
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height + top}" width="${width}" height="${height + top}" font-family="sans-serif">
<rect width="100%" height="100%" fill="white"/>
<text x="16" y="22" font-size="15">${inXml(title)}</text>
<text x="16" y="42" font-size="12" fill="#555">${inXml(subtitle)}</text>
${inner}
</svg>
`,
  )
}

/** rows: { variant, median, 'quartile 1', 'quartile 3' } -> bars of medians with lines between the quartiles. */
export function ranges(rows) {
  const isOurs = ({ variant }) => variant.startsWith('ours')
  return {
    height: 40 + 24 * rows.length,
    marginLeft: 190,
    marginRight: 60,
    x: { label: 'milliseconds', grid: true, zero: true },
    y: { label: null, domain: rows.map(({ variant }) => variant) },
    marks: [
      Plot.barX(rows, {
        x: 'median',
        y: 'variant',
        fill: (row) => (isOurs(row) ? '#1f77b4' : '#bbb'),
        insetTop: 2,
        insetBottom: 2,
      }),
      Plot.ruleY(rows, { x1: 'quartile 1', x2: 'quartile 3', y: 'variant', strokeWidth: 2 }),
      Plot.text(rows, {
        x: 'quartile 3',
        y: 'variant',
        text: (row) => row.median.toPrecision(3),
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.ruleX([0]),
    ],
  }
}

/**
 * measured: { axis, what, x, median, 'quartile 1', 'quartile 3' }, fits: { against, 'cost of', exponent } -> cost over
 * size, both logarithmic, a panel an axis; sizes as multiples of the smallest, so that the panels share a scale.
 */
export function growth(measured, fits) {
  const smallest = new Map()
  for (const { axis, x } of measured) smallest.set(axis, Math.min(x, smallest.get(axis) ?? x))
  const points = measured.map((point) => ({ ...point, times: point.x / smallest.get(point.axis) }))
  const ends = fits.map(({ against, 'cost of': what, exponent }) => {
    const own = points.filter((point) => point.axis === against && point.what === what)
    return { ...own.at(-1), label: exponent.toFixed(2) }
  })
  const place = { x: 'times', fx: 'axis', stroke: 'what' }
  return {
    width: 1060,
    height: 380,
    marginLeft: 50,
    marginRight: 34,
    fx: { label: null, domain: [...smallest.keys()] },
    x: { type: 'log', base: 2, label: 'times the smallest size', tickFormat: 'd', grid: true },
    y: { type: 'log', nice: true, label: 'milliseconds', grid: true, tickFormat: '~g' },
    color: { legend: false, domain: Object.keys(colours), range: Object.values(colours) },
    marks: [
      Plot.frame({ stroke: '#ccc' }),
      Plot.ruleX(points, { ...place, y1: 'quartile 1', y2: 'quartile 3' }),
      Plot.lineY(points, { ...place, y: 'median', marker: 'circle' }),
      Plot.text(ends, {
        ...place,
        y: 'median',
        text: 'label',
        stroke: 'white',
        fill: 'what',
        dy: -11,
      }),
      Plot.text(names(points), {
        fx: 'axis',
        y: 'median',
        x: 'times',
        fill: 'what',
        text: 'what',
        textAnchor: 'start',
        dx: 6,
        dy: 12,
      }),
    ],
  }
}

const colours = {
  'forward pass': '#1f77b4',
  'training step': '#d62728',
  'reverse chain': '#2ca02c',
}

/** Where a line's name stands: once each, at the start of the first panel that has it. */
function names(points) {
  return Object.keys(colours).flatMap((name) => points.find(({ what }) => what === name) ?? [])
}

/** losses: { run, list }, smooth: { run, middle, loss } -> loss over steps, a colour a run. */
export function curves(losses, smooth) {
  const dots = losses.flatMap(({ run, list }) =>
    list.map((loss, i) => ({ run, step: i + 1, loss })),
  )
  const runs = losses.map(({ run }) => run)
  return {
    height: 380,
    marginRight: 40,
    x: { label: 'step' },
    y: { label: 'loss', grid: true },
    color: { domain: runs, range: ['#1f77b4', '#d62728', '#85b4d9', '#eb9a9a'] },
    marks: [
      Plot.dot(dots, { x: 'step', y: 'loss', fill: 'run', r: 1, fillOpacity: 0.6 }),
      Plot.lineY(smooth, { x: 'middle', y: 'loss', stroke: 'run', strokeWidth: 2 }),
      runs.map((run, i) =>
        Plot.text([run], {
          frameAnchor: 'top-right',
          text: (name) => name,
          fill: (name) => name,
          dx: -8,
          dy: 8 + 18 * i,
        }),
      ),
    ],
  }
}
