/** Style sheet and script of the report. They come with the page: it loads nothing. */

export const style = `
:root { color-scheme: light dark; --text: #1d2430; --soft: #5d6878; --line: #dfe3ea; --page: #f6f7f9; --panel: #fff; --accent: #b45309; --truth: #0e7490; --miss: #be123c; --box: #f3c98b;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ef; --soft: #98a3b3; --line: #2b323d; --page: #12161c; --panel: #1a2029; --accent: #fbbf24; --truth: #67e8f9; --miss: #fb7185; --box: #7a5a22; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); }
main, header, footer { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 36px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 44px 0 12px; }
p { margin: 0 0 10px; max-width: 75ch; }
header p, footer, .note { color: var(--soft); }
.note { font-size: 0.87rem; }
.panel + .note { margin-top: 8px; }
footer { padding-top: 24px; padding-bottom: 48px; font-size: 0.87rem; }
a { color: inherit; }
:focus-visible { outline: 2px solid var(--truth); outline-offset: 2px; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0 12px; padding: 0; }
.tiles > div { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tiles dt { color: var(--soft); font-size: 0.85rem; }
.tiles dd { margin: 0; }
.tiles .value { font-size: 1.75rem; font-weight: 650; line-height: 1.25; letter-spacing: -0.02em; }
.tiles .value small { font-size: 0.9rem; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.tiles .first .value { color: var(--accent); }
.tiles .extra { color: var(--soft); font-size: 0.82rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { padding: 5px 9px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 600; }
th:first-child, td.text, th.text { text-align: left; }
tbody th small { font-weight: 400; color: var(--soft); margin-left: 8px; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--truth); }
th[aria-sort] button::after { content: " \\2193"; }
th[aria-sort="ascending"] button::after { content: " \\2191"; }
td.bad { color: var(--miss); font-weight: 600; }
.plot { width: 100%; max-width: 820px; height: auto; display: block; margin: 0 auto; }
.plot text { font-size: 12px; fill: var(--soft); }
.plot text.legend { fill: var(--text); font-size: 12.5px; }
.grid { stroke: var(--line); }
.guide { stroke: var(--line); stroke-dasharray: 3 3; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.series-0 { stroke: var(--accent); stroke-width: 3; }
.series-1 { stroke: var(--soft); stroke-dasharray: 2 4; }
.series-2 { stroke: var(--truth); stroke-dasharray: 7 4; }
.series-3 { stroke: var(--miss); }
.box { vertical-align: middle; }
.box rect { fill: var(--box); }
.box .whisker { stroke: var(--soft); }
.box .median { stroke: var(--text); stroke-width: 2; }
.layers { display: flex; flex-wrap: wrap; gap: 6px 18px; border: 0; margin: 0 0 14px; padding: 0; }
.layers label { display: inline-flex; align-items: center; gap: 6px; cursor: pointer; }
.key { display: inline-block; width: 14px; height: 14px; flex: none; }
.key svg { display: block; width: 14px; height: 14px; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 16px; }
.card { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; scroll-margin: 16px; }
.card:target { border-color: var(--accent); box-shadow: 0 0 0 2px var(--accent); }
.enlarge { display: block; width: 100%; padding: 0; border: 0; background: #000; cursor: zoom-in; font: inherit; }
.enlarge svg { display: block; width: 100%; height: auto; aspect-ratio: 4 / 5; }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 12px; padding: 9px 13px 11px; overflow-wrap: anywhere; }
.mean { font-variant-numeric: tabular-nums; }
.detail { flex-basis: 100%; color: var(--soft); font-size: 0.85rem; }
.blank { fill: #20252d; }
.mark * { vector-effect: non-scaling-stroke; fill: none; }
.mark .truth { stroke: #22d3ee; stroke-width: 1.6; }
.mark .ring { stroke: #22d3ee; stroke-width: 0.8; opacity: 0.65; }
.mark .predicted { stroke: #fbbf24; stroke-width: 1.6; }
.mark .vector { stroke: #fbbf24; stroke-width: 1.2; }
.mark.miss .predicted, .mark.miss .vector { stroke: #ff4d6d; }
.mark .junior { stroke: #a78bfa; stroke-width: 1.2; }
.mark .senior { stroke: #4ade80; stroke-width: 1.2; }
.mark text { fill: #fff; paint-order: stroke; stroke: #000; stroke-width: 2px; stroke-linejoin: round; }
body:not(:has(#show-predicted:checked)) .card .predicted, body:not(:has(#show-predicted:checked)) dialog .predicted,
body:not(:has(#show-truth:checked)) .card .truth, body:not(:has(#show-truth:checked)) dialog .truth,
body:not(:has(#show-vector:checked)) .card .vector, body:not(:has(#show-vector:checked)) dialog .vector,
body:not(:has(#show-ring:checked)) .card .ring, body:not(:has(#show-ring:checked)) dialog .ring,
body:not(:has(#show-names:checked)) .card .mark text, body:not(:has(#show-names:checked)) dialog .mark text,
body:not(:has(#show-junior:checked)) .card .junior, body:not(:has(#show-junior:checked)) dialog .junior,
body:not(:has(#show-senior:checked)) .card .senior, body:not(:has(#show-senior:checked)) dialog .senior { display: none; }
dialog { border: 0; padding: 0; background: #000; color: #fff; max-width: 98vw; max-height: 98vh; border-radius: 8px; overflow: hidden; }
dialog::backdrop { background: rgb(0 0 0 / 0.75); }
dialog .stage svg { display: block; width: auto; height: auto; max-width: 98vw; height: 92vh; }
dialog .bar { display: flex; justify-content: space-between; align-items: center; gap: 16px; padding: 5px 12px; height: 5vh; min-height: 36px; }
dialog .bar button { font: inherit; padding: 2px 14px; }
.strip { display: flex; gap: 8px; list-style: none; margin: 0 0 18px; padding: 4px; overflow-x: auto; }
.strip li { flex: none; text-align: center; color: var(--soft); font-size: 0.82rem; font-variant-numeric: tabular-nums; }
.strip img { display: block; height: 190px; width: auto; border-radius: 5px; background: #000; }
.strip .absent { display: block; width: 130px; height: 190px; border: 1px dashed var(--line); border-radius: 5px; padding: 8px; white-space: normal; overflow: hidden; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 14px 0 4px; overflow-wrap: anywhere; }
summary { cursor: pointer; margin: 0 0 8px; }
@media print {
  :root { color-scheme: light; --text: #000; --soft: #444; --line: #ccc; --page: #fff; --panel: #fff; --accent: #b45309; --truth: #0e7490; --miss: #be123c; --box: #f3c98b; font-size: 11px; }
  main, header, footer { max-width: none; padding: 0; }
  .layers, dialog { display: none; }
  .panel { overflow: visible; border: 0; padding: 0; }
  .strip { flex-wrap: wrap; overflow: visible; }
  .strip img { height: 130px; }
  .cards { grid-template-columns: repeat(3, 1fr); }
  .card, tr, .tiles > div { break-inside: avoid; }
  .enlarge, .tiles > div, .mark * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`

export const script = `
const dialog = document.querySelector('dialog')
const stage = dialog.querySelector('.stage')
let home = null
let crop = ''
for (const button of document.querySelectorAll('.enlarge')) {
  button.addEventListener('click', () => {
    home = button
    dialog.querySelector('.name').textContent = button.parentElement.querySelector('figcaption').innerText.replaceAll('\\n', '   ')
    const drawing = button.firstElementChild
    crop = drawing.getAttribute('viewBox')
    drawing.setAttribute('viewBox', drawing.dataset.whole)
    stage.append(drawing)
    dialog.showModal()
  })
}
dialog.querySelector('.bar button').addEventListener('click', () => dialog.close())
dialog.addEventListener('close', () => {
  stage.firstElementChild.setAttribute('viewBox', crop)
  home.append(stage.firstElementChild)
  home.focus()
})
dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close() })
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0]
  for (const button of table.querySelectorAll('th button')) {
    button.addEventListener('click', () => {
      const head = button.parentElement
      const up = head.getAttribute('aria-sort') === 'descending'
      for (const other of table.querySelectorAll('th[aria-sort]')) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending')
      const key = (row) => row.cells[head.cellIndex].dataset.key
      const rows = [...body.rows].sort((a, b) => Number(key(b)) - Number(key(a)))
      body.append(...(up ? rows.reverse() : rows))
    })
  }
}
`
