/** The report's page: summary, error distribution, landmarks, pictures (worst first), film strips, and every image's figures. */

import { createHash } from 'node:crypto'
import type { EvaluationResult } from '../evaluate.js'
import { type ErrorTable, errorsOfLandmark, thresholds } from '../metrics.js'
import type { Reference } from '../references.js'
import { conventionText, fixed } from '../text.js'
import { html, type Insertable, type Markup, trusted } from './html.js'
import { type Case, imageCard } from './overlay.js'
import type { StripFrame } from './pictures.js'
import { errorBox, errorDistribution } from './plots.js'
import { script, style } from './style.js'

/** What is known of the scores; absent when there are no annotations. */
export interface Scores {
  readonly result: EvaluationResult
  readonly errors: ErrorTable
  readonly references: readonly Reference[]
}

export interface ReportContent {
  readonly title: string
  /** The predictions file's name. */
  readonly source: string
  readonly created: Date
  readonly scores: Scores | null
  /** Full names of landmarks by short name. */
  readonly labels: ReadonlyMap<string, string>
  /** In the order of showing: worst first where there are scores. */
  readonly cases: readonly Case[]
  /** How many images the predictions file has. */
  readonly imageCount: number
  readonly filmstrips: readonly { readonly id: string; readonly frames: readonly StripFrame[] }[]
}

function tile(name: string, value: Insertable, extra: Insertable, first = ''): Markup {
  return html`<div class="${first}"><dt>${name}</dt><dd><div class="value">${value}</div><div class="extra">${extra}</div></dd></div>`
}

function interval([low, high]: readonly [number, number], digits: number): string {
  return `95 % CI ${fixed(low, digits)}–${fixed(high, digits)}`
}

function summarySection({ result, references }: Scores): Markup {
  const within = result.convention === 'strict' ? '<' : '≤'
  const rows = [{ name: 'predictions', result }, ...references]
  return html`<section aria-labelledby="summary"><h2 id="summary">Summary</h2>
<dl class="tiles">
${tile('mean radial error', html`${fixed(result.mre.mean)} <small>mm</small>`, `SD ${fixed(result.mre.sd)}, ${interval(result.mre.ci95, 2)}`, 'first')}
${thresholds.map((threshold) => tile(`within ${threshold} mm`, html`${fixed(result.sdr[`${threshold}`], 1)} <small>%</small>`, interval(result.sdrCi95[`${threshold}`], 1)))}
${tile('over 10 mm', result.over10mm, `of ${result.points} points`)}
${result.missing > 0 && tile('not found', result.missing, 'a miss at every threshold')}
</dl>
<div class="panel"><table><thead><tr><th>detector</th><th>MRE mm</th><th>SD mm</th><th>median mm</th>${thresholds.map((threshold) => html`<th>${within} ${threshold} mm %</th>`)}<th>images</th></tr></thead>
<tbody>${rows.map(
    ({ name, result: row }) =>
      html`<tr><th scope="row">${name}</th><td>${fixed(row.mre.mean)}</td><td>${fixed(row.mre.sd)}</td><td>${fixed(row.median)}</td>${thresholds.map((threshold) => html`<td>${fixed(row.sdr[`${threshold}`])}</td>`)}<td>${row.images}</td></tr>`,
  )}</tbody></table></div></section>`
}

function distributionSection({ errors, references }: Scores): Markup {
  const annotated = (table: ErrorTable) => [...table.values].filter((error) => !Number.isNaN(error))
  const series = [
    { name: 'predictions', errors: annotated(errors) },
    ...references.map((row) => ({ name: row.name, errors: annotated(row.errors) })),
  ]
  return html`<section aria-labelledby="distribution"><h2 id="distribution">How the errors are distributed</h2><div class="panel">${errorDistribution(series)}</div></section>`
}

function sortHead(name: string): Markup {
  return html`<th scope="col"><button type="button">${name}</button></th>`
}

function sortCell(value: number, text: string, kind = ''): Markup {
  return html`<td class="${kind}" data-key="${Number.isFinite(value) ? value : -1}">${text}</td>`
}

function landmarkSection({ result, errors }: Scores, labels: ReadonlyMap<string, string>): Markup {
  const within = result.convention === 'strict' ? '<' : '≤'
  const heads = ['MRE', 'SD', 'median', 'P95']
  const rows = result.perLandmark.map(
    (row, j) => html`<tr><th scope="row">${row.name}<small>${labels.get(row.name)}</small></th>
${[row.mre, row.sd, row.median, row.p95].map((value) => sortCell(value, fixed(value)))}<td class="text">${errorBox(errorsOfLandmark(errors, j))}</td>
${thresholds.map((threshold) => sortCell(row.sdr[`${threshold}`], fixed(row.sdr[`${threshold}`], 1)))}${sortCell(row.over10mm, String(row.over10mm), row.over10mm > 0 ? 'bad' : '')}${sortCell(row.missing, String(row.missing), row.missing > 0 ? 'bad' : '')}</tr>`,
  )
  return html`<section aria-labelledby="landmarks"><h2 id="landmarks">Landmarks</h2><div class="panel"><table class="sortable">
<thead><tr><th scope="col">landmark</th>${heads.map(sortHead)}<th scope="col" class="text">0 to 10 mm</th>${thresholds.map((threshold) => sortHead(`${within} ${threshold} %`))}${sortHead('> 10 mm')}${sortHead('not found')}</tr></thead>
<tbody>${rows}</tbody></table></div>
<p class="note">Errors in mm, rates in percent. Boxes: middle half of the errors with the median; whiskers: 5th to 95th percentile; dashed: 2 and 4 mm.</p></section>`
}

function layerSwitch(name: string, text: string, mark: Markup | null, checked: boolean): Markup {
  const key =
    mark &&
    html`<span class="key mark"><svg viewBox="0 0 14 14" aria-hidden="true">${mark}</svg></span>`
  return html`<label><input type="checkbox" id="show-${name}"${checked && trusted(' checked')}>${key}${text}</label>`
}

function pictureSection(content: ReportContent): Markup | null {
  const { cases, scores, imageCount } = content
  if (cases.length === 0) return null
  const means = new Map(scores?.result.perImage.map(({ id, mre }) => [id, mre]))
  const has = (kind: 'truth' | 'junior' | 'senior') => cases.some((shown) => shown[kind] !== null)
  const doctors = has('junior') && has('senior')
  const part = cases.length < imageCount ? `, ${cases.length} of ${imageCount}` : ''
  return html`<section aria-labelledby="images"><h2 id="images">${scores ? 'Images, worst first' : 'Images'}${part}</h2>
<fieldset class="layers" aria-label="What is drawn">
${layerSwitch('predicted', 'predicted', html`<path class="predicted" d="M1 7h12M7 1v12"/>`, true)}
${has('truth') && layerSwitch('truth', 'true', html`<circle class="truth" cx="7" cy="7" r="4.5"/>`, true)}
${has('truth') && layerSwitch('ring', '2 mm around it', html`<circle class="ring" cx="7" cy="7" r="6"/>`, true)}
${has('truth') && layerSwitch('vector', 'error (red: over 2 mm)', html`<g class="mark miss"><line class="vector" x1="1" y1="13" x2="13" y2="1"/></g>`, true)}
${layerSwitch('names', 'names', null, false)}
${doctors && layerSwitch('junior', 'junior doctor', html`<rect class="junior" x="3" y="3" width="8" height="8"/>`, false)}
${doctors && layerSwitch('senior', 'senior doctor', html`<rect class="senior" x="3" y="3" width="8" height="8"/>`, false)}
</fieldset>
<p class="note">Crosses: predicted; circles: true; red: errors over 2 mm. The pictures are cropped to the points; enlarged, they are whole.${scores && ' Images with a landmark that was not found come before all others.'}</p>
<div class="cards">${cases.map((shown, c) => imageCard(shown, `image-${c}`, means.get(shown.image.id) ?? null))}</div></section>`
}

function filmSection(filmstrips: ReportContent['filmstrips']): Markup | null {
  if (filmstrips.length === 0) return null
  return html`<section aria-labelledby="chains"><h2 id="chains">The reverse chain, from noise to points</h2><div class="panel">${filmstrips.map(
    ({ id, frames }) =>
      html`<h3>${id}</h3><ol class="strip" tabindex="0" aria-label="Reverse chain of image ${id}">${frames.map(
        ({ t, picture }) =>
          html`<li>${'uri' in picture ? html`<img src="${picture.uri}" alt="State of the chain at t = ${t}">` : html`<span class="absent">${picture.missing}</span>`}t = ${t}</li>`,
      )}</ol>`,
  )}</div></section>`
}

function imageTable({ result }: Scores, cases: readonly Case[]): Markup {
  const anchors = new Map(cases.map((shown, c) => [shown.image.id, `#image-${c}`]))
  const rows = [...result.perImage].sort(worstFirst).map((row) => {
    const anchor = anchors.get(row.id)
    const name = anchor === undefined ? html`${row.id}` : html`<a href="${anchor}">${row.id}</a>`
    return html`<tr><th scope="row">${name}</th><td>${fixed(row.mre)}</td><td>${fixed(row.max)}</td><td class="text">${row.worst}</td><td>${row.points}</td><td>${row.missing}</td></tr>`
  })
  return html`<section aria-labelledby="every"><h2 id="every">Every image</h2><details><summary>Figures of ${result.images} images, worst first</summary><div class="panel"><table>
<thead><tr><th scope="col">image</th><th scope="col">mean mm</th><th scope="col">largest mm</th><th scope="col" class="text">at</th><th scope="col">points</th><th scope="col">not found</th></tr></thead><tbody>${rows}</tbody></table></div></details></section>`
}

/** Order of images: those with landmarks that were not found first, then by mean error. */
export function worstFirst(
  a: { missing: number; mre: number },
  b: { missing: number; mre: number },
): number {
  const value = (mre: number) => (Number.isNaN(mre) ? -1 : mre)
  return b.missing - a.missing || value(b.mre) - value(a.mre)
}

function subtitle({ scores, source, imageCount }: ReportContent): string {
  if (scores === null) return `${source}: ${imageCount} images, not scored: no annotations.`
  const { split, truth, images, points, excluded } = scores.result
  const left = excluded.length > 0 ? `, without ${excluded.join(', ')}` : ''
  return `${source}: ${images} images of split ${split} against truth ${truth}, ${points} points${left}.`
}

/** The whole page. It allows itself no network access and no script but its own. */
export function renderPage(content: ReportContent): string {
  const { title, scores, labels, cases, created } = content
  const hash = createHash('sha256').update(script).digest('base64')
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`
  const date = created.toISOString().slice(0, 16).replace('T', ' ')
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="landmark-diffusion">
<title>${title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header><h1>${title}</h1><p>${subtitle(content)}</p></header>
<main>
${scores && [summarySection(scores), distributionSection(scores), landmarkSection(scores, labels)]}
${pictureSection(content)}
${filmSection(content.filmstrips)}
${scores && imageTable(scores, cases)}
</main>
<footer><p>Written ${date} UTC by landmark-diffusion. Radial errors are lengths in mm in original image coordinates. ${scores && `Convention ${scores.result.convention}: ${conventionText[scores.result.convention]}. Intervals: bootstrap over images. A landmark that is annotated but was not found counts as a miss and has no part in means.`}</p></footer>
<dialog aria-label="Enlarged image"><div class="bar"><span class="name"></span><button type="button" autofocus>Close</button></div><div class="stage"></div></dialog>
<script>${trusted(script)}</script>
</body>
</html>
`
  return page.text
}
