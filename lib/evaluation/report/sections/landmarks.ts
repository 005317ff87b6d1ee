/** The landmarks one by one: figures that sort, and the systematic part of their errors on the mean shape. */

import { thresholds } from '../../metrics.js'
import type { Bias } from '../../parts/bias.js'
import { fixed } from '../../text.js'
import type { LandmarkCloud, ReportContent, Scores } from '../content.js'
import { figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'
import { biasMap, biasScale, errorBox } from '../plots/errors.js'
import { type Cell, number, table, words } from '../table.js'

const keys = thresholds.map((limit) => `${limit}` as const)

function landmarkTable({ result, errors }: Scores, { labels, parts }: ReportContent): Markup {
  const within = result.convention === 'strict' ? '<' : '≤'
  const expected = new Map(parts.uncertainty?.perLandmark.map(({ name, ere }) => [name, ere]))
  const known = [...expected.values()].some((ere) => !Number.isNaN(ere))
  const count = (value: number) => number(value, 0, value > 0 ? 'bad' : '')
  const rows = result.perLandmark.map((row, j): [Cell, ...Cell[]] => [
    words(html`${row.name} <small>${labels.get(row.name)}</small>`),
    number(row.mre),
    number(row.sd),
    number(row.median),
    number(row.p95),
    number(row.max),
    { content: errorBox(errors, j), kind: 'text box' },
    ...keys.map((key) => number(row.sdr[key], 1)),
    count(row.over10mm),
    count(row.missing),
    ...(known ? [number(expected.get(row.name) ?? Number.NaN)] : []),
  ])
  return figure(
    table({
      label: 'Figures of each landmark',
      sortable: true,
      heads: [
        { name: 'landmark', fixed: true },
        'MRE',
        'SD',
        'median',
        'P95',
        'largest',
        { name: '0 to 10 mm', kind: 'text', fixed: true },
        ...keys.map((key) => `${within} ${key} mm`),
        '> 10 mm',
        'not found',
        ...(known ? ['expected'] : []),
      ],
      rows,
    }),
    {
      id: 'landmark-table',
      title: 'Landmark by landmark',
      wide: true,
      note: html`Errors in mm, rates in percent; a head sorts by its column. Boxes: quartiles and median, whiskers to 1.5 times their distance, dots beyond; lines at 2 and 4 mm.${known && ' expected: mean of the radial errors that the model itself expects.'}`,
      data: {
        columns: [
          'landmark',
          'name',
          'points',
          'missing',
          'mre',
          'sd',
          'median',
          'p90',
          'p95',
          'max',
          ...keys.map((key) => `sdr_${key}`),
          'over_10mm',
          'ere',
        ],
        rows: result.perLandmark.map((row) => [
          row.name,
          labels.get(row.name) ?? null,
          row.points,
          row.missing,
          row.mre,
          row.sd,
          row.median,
          row.p90,
          row.p95,
          row.max,
          ...keys.map((key) => row.sdr[key]),
          row.over10mm,
          expected.get(row.name) ?? null,
        ]),
      },
    },
  )
}

function biasFigure(shape: readonly LandmarkCloud[], bias: readonly Bias[]): Markup {
  const significant = bias.filter((row) => row.significant).sort((a, b) => b.length - a.length)
  return figure(biasMap(shape), {
    id: 'bias-map',
    title: 'Systematic errors',
    wide: true,
    legend: [
      ['dot truth', 'mean true place'],
      ['line prediction', `mean error, ${biasScale} times as long`],
      ['area box', 'one standard deviation around it'],
    ],
    note:
      significant.length === 0
        ? 'No mean error leaves out 0 at the 95 % level.'
        : `A mean error that all images share points to a convention, not to noise. Beyond chance (95 %): ${significant.map(({ name, length }) => `${name} ${fixed(length)} mm`).join(', ')}.`,
    data: {
      columns: [
        'landmark',
        'points',
        'dx',
        'dx_low',
        'dx_high',
        'dy',
        'dy_low',
        'dy_high',
        'length',
        'significant',
        'x',
        'y',
        'var_x',
        'cov_xy',
        'var_y',
      ],
      rows: bias.map((row) => {
        const cloud = shape.find(({ name }) => name === row.name)
        const [[xx, xy], [, yy]] = cloud?.covariance ?? [
          [null, null],
          [null, null],
        ]
        return [
          row.name,
          row.points,
          row.dx.mean,
          ...row.dx.ci95,
          row.dy.mean,
          ...row.dy.ci95,
          row.length,
          row.significant ? 1 : 0,
          cloud?.place[0] ?? null,
          cloud?.place[1] ?? null,
          xx,
          xy,
          yy,
        ]
      }),
    },
  })
}

export function landmarksSection(content: ReportContent): Markup | null {
  const { scores, shape, parts } = content
  if (scores === null) return null
  return section(
    'landmarks',
    'Landmarks',
    landmarkTable(scores, content),
    shape && shape.length > 1 && parts.bias && biasFigure(shape, parts.bias),
  )
}
