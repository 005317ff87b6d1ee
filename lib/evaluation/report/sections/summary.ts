/** The main figures with their intervals, in a sentence, in tiles, and beside people, simpler detectors and published results. */

import type { EvaluationResult } from '../../evaluate.js'
import { thresholds } from '../../metrics.js'
import { fixed } from '../../text.js'
import type { ReportContent, Scores } from '../content.js'
import { type FigureData, figure, section } from '../figure.js'
import { html, type Insertable, type Markup } from '../html.js'
import { type Cell, number, table, withInterval, words } from '../table.js'

function tile(name: string, value: Insertable, extra: Insertable): Markup {
  return html`<div class="tile"><dt>${name}</dt><dd><div class="value">${value}</div><div class="extra">${extra}</div></dd></div>`
}

function interval([low, high]: readonly [number, number], digits: number): string {
  return `95 % CI ${fixed(low, digits)} to ${fixed(high, digits)}`
}

function tiles({
  mre,
  median,
  p95,
  sdr,
  sdrCi95,
  over10mm,
  missing,
  points,
}: EvaluationResult): Markup {
  return html`<dl class="tiles">
${tile('mean radial error', html`${fixed(mre.mean)} <small>mm</small>`, html`${interval(mre.ci95, 2)}<br>SD ${fixed(mre.sd)}, median ${fixed(median)}, P95 ${fixed(p95)}`)}
${thresholds.map((limit) => tile(`within ${limit} mm`, html`${fixed(sdr[`${limit}`], 1)} <small>%</small>`, interval(sdrCi95[`${limit}`], 1)))}
${tile('over 10 mm', over10mm, `of ${points} points`)}
${missing > 0 && tile('not found', missing, 'a miss at every threshold')}
</dl>`
}

/** The result in one or two sentences, for whoever reads no further. */
function inWords({ scores }: ReportContent): Markup | null {
  if (scores === null) return null
  const { result, references } = scores
  const worst = [...result.perLandmark]
    .filter(({ mre }) => !Number.isNaN(mre))
    .sort((a, b) => b.mre - a.mre)
    .slice(0, 3)
  const human = references.find(({ name }) => name === 'junior against senior')
  return html`<p class="lead">On average a point lies <b>${fixed(result.mre.mean)} mm</b> from the truth, and <b>${fixed(result.sdr['2'], 1)} %</b> of them within 2 mm.
${worst.length > 1 && html` The largest mean errors are at ${worst.map(({ name, mre }) => `${name} (${fixed(mre)} mm)`).join(', ')}.`}
${human && html` The two doctors lie ${fixed(human.result.mre.mean)} mm apart on the same images.`}</p>`
}

const thresholdKeys = thresholds.map((limit) => `${limit}` as const)

function comparison(content: ReportContent, scores: Scores): Markup {
  const { result, references } = scores
  const { published = [] } = content.parts
  const within = result.convention === 'strict' ? '<' : '≤'
  const rates = ({ sdr, sdrCi95 }: EvaluationResult) =>
    thresholdKeys.map((key) => withInterval(sdr[key], sdrCi95[key], 1))
  const scored = (name: string, row: EvaluationResult): [Cell, ...Cell[]] => [
    words(name),
    withInterval(row.mre.mean, row.mre.ci95),
    number(row.mre.sd),
    number(row.median),
    ...rates(row),
    number(row.images, 0),
  ]
  const printed = published.map(({ method, mre, sd, sdr = {} }): [Cell, ...Cell[]] => [
    words(html`<span class="published">${method}</span>`),
    number(mre ?? Number.NaN),
    number(sd ?? Number.NaN),
    number(Number.NaN),
    ...thresholdKeys.map((key) => number(sdr[key] ?? Number.NaN, 1)),
    number(result.images, 0),
  ])
  const data: FigureData = {
    columns: [
      'detector',
      'source',
      'mre',
      'mre_low',
      'mre_high',
      'sd',
      'median',
      ...thresholdKeys.map((key) => `sdr_${key}`),
      'images',
    ],
    rows: [
      ...[{ name: 'predictions', result }, ...references].map(({ name, result: row }) => [
        name,
        'scored here',
        row.mre.mean,
        ...row.mre.ci95,
        row.mre.sd,
        row.median,
        ...thresholdKeys.map((key) => row.sdr[key]),
        row.images,
      ]),
      ...published.map(({ method, source, mre, sd, sdr = {} }) => [
        method,
        source,
        mre ?? null,
        null,
        null,
        sd ?? null,
        null,
        ...thresholdKeys.map((key) => sdr[key] ?? null),
        result.images,
      ]),
    ],
  }
  return figure(
    table({
      label: 'Beside people and other detectors',
      heads: [
        'detector',
        'MRE, mm',
        'SD, mm',
        'median, mm',
        ...thresholds.map((limit) => `${within} ${limit} mm, %`),
        'images',
      ],
      rows: [
        scored('these predictions', result),
        ...references.map(({ name, result: row }) => scored(name, row)),
        ...printed,
      ],
    }),
    {
      id: 'comparison',
      title: 'Beside people and other detectors',
      data,
      wide: true,
      note: html`Small figures: 95 % intervals from a bootstrap over images.${references.some(({ name }) => name === 'mean shape') && ' The mean shape answers the mean of the training annotations for every image.'}${published.length > 0 && ` In italics: published for the same images (${[...new Set(published.map(({ source }) => source))].join('; ')}).`}`,
    },
  )
}

export function summarySection(content: ReportContent): Markup | null {
  const { scores } = content
  if (scores === null) return null
  return section(
    'summary',
    'Summary',
    inWords(content),
    tiles(scores.result),
    comparison(content, scores),
  )
}
