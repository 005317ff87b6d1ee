/** How the errors are distributed, and what other truths and both doctors make of the same predictions. */

import { annotatedErrors, thresholds } from '../../metrics.js'
import type { AnnotatorFigures, AnnotatorMetrics } from '../../parts/annotators.js'
import { errorCurve } from '../../parts/distribution.js'
import type { TruthRow } from '../../parts/truths.js'
import { fixed } from '../../text.js'
import type { ReportContent, Scores } from '../content.js'
import { absent, figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'
import { cumulativeErrors, type ErrorSeries } from '../plots/errors.js'
import { type Cell, number, table, words } from '../table.js'

/** The curves are given at every 0.1 mm. */
const mm = Array.from({ length: 101 }, (_, i) => i / 10)

/** Colour by what a reference is. */
function kindOf(name: string): string {
  return name === 'mean shape' ? 'shape' : 'human'
}

function distributionFigure({ result, errors, references }: Scores): Markup {
  const series = [{ name: 'predictions', errors }, ...references].map(
    ({ name, errors: table }): ErrorSeries => ({
      name,
      kind: name === 'predictions' ? 'prediction' : kindOf(name),
      share: errorCurve(annotatedErrors(table), result.convention).share,
    }),
  )
  const { auc, failures, outliers } = errorCurve(annotatedErrors(errors), result.convention)
  return figure(cumulativeErrors(mm, series, result), {
    id: 'error-distribution',
    title: 'Cumulative error distribution',
    wide: true,
    legend: series.map(({ name, kind }) => [`line ${kind}`, name]),
    note: `Area under the curve up to 4 mm, divided by 4 mm: ${fixed(auc, 3)}. Beyond 4 mm: ${outliers['4']} points (${fixed(failures['4'], 1)} %); beyond 10 mm: ${outliers['10']} (${fixed(failures['10'], 1)} %). Dots with bars: detection rates and their 95 % intervals.`,
    data: {
      columns: ['mm', ...series.map(({ name }) => `share of ${name}`)],
      rows: mm.map((limit, i) => [limit, ...series.map(({ share }) => share[i] ?? null)]),
    },
  })
}

function truthsFigure(rows: readonly TruthRow[], chosen: string): Markup {
  const keys = thresholds.map(String)
  return figure(
    table({
      label: 'Against each truth',
      heads: [
        'truth',
        'MRE, mm',
        'SD, mm',
        'median, mm',
        ...keys.map((key) => `${key} mm, %`),
        'points',
      ],
      rows: rows.map(({ truth, without, mre, sd, median, sdr, points }): [Cell, ...Cell[]] => [
        words(
          `${truth}${without.length > 0 ? ` without ${without.join(', ')}` : ''}${truth === chosen && without.length === 0 ? ' (this report)' : ''}`,
        ),
        number(mre),
        number(sd),
        number(median),
        ...keys.map((key) => number(sdr[key] ?? Number.NaN, 1)),
        number(points, 0),
      ]),
    }),
    {
      id: 'truths',
      title: 'Against each truth',
      wide: true,
      note: 'The same predictions, scored against other annotations. nearest: the doctor who is nearer to the prediction; either: within reach of any doctor. Landmarks with a disputed convention are left out of every second row.',
      data: {
        columns: [
          'truth',
          'without',
          'mre',
          'sd',
          'median',
          ...keys.map((key) => `sdr_${key}`),
          'points',
        ],
        rows: rows.map(({ truth, without, mre, sd, median, sdr, points }) => [
          truth,
          without.join(' '),
          mre,
          sd,
          median,
          ...keys.map((key) => sdr[key] ?? null),
          points,
        ]),
      },
    },
  )
}

function annotatorsFigure(metrics: AnnotatorMetrics): Markup {
  const { annotators, withoutDisputed, perLandmark } = metrics
  const summary: [string, AnnotatorFigures][] = [['all landmarks', metrics]]
  if (withoutDisputed)
    summary.push([`without ${withoutDisputed.without.join(', ')}`, withoutDisputed])
  const single = perLandmark.map((row): [string, AnnotatorFigures] => [row.name, row])
  const named = [...summary, ...single]
  const rowsOf = (rows: readonly [string, AnnotatorFigures][], label: string, sortable = false) =>
    table({
      label,
      heads: [
        { name: 'landmark', fixed: true },
        ...annotators.map((name) => `to ${name}, mm`),
        'to the nearer, mm',
        'doctors apart, mm',
        'ρ',
        'within 2 mm of the nearer, %',
        'points',
      ],
      sortable,
      rows: rows.map(([name, row]): [Cell, ...Cell[]] => [
        words(name),
        ...annotators.map((annotator) => number(row.distance[annotator] ?? Number.NaN)),
        number(row.nearer),
        number(row.between),
        number(row.rho, 3),
        number(row.sdr['2'] ?? Number.NaN, 1),
        number(row.points, 0),
      ]),
    })
  const title = 'Against both doctors at once'
  return figure(
    html`${rowsOf(summary, title)}<details><summary>Landmark by landmark</summary>${rowsOf(single, `${title}, by landmark`, true)}</details>`,
    {
      id: 'annotators',
      title,
      wide: true,
      note: 'ρ is the distance of the doctors over the sum of the distances to both: 1 where a prediction lies on the line between them, near 0 where it is much farther away than they are apart.',
      data: {
        columns: [
          'landmark',
          ...annotators.map((name) => `to_${name}`),
          'to_nearer',
          'between',
          'rho',
          'sdr_2_nearer',
          'points',
        ],
        rows: named.map(([name, row]) => [
          name,
          ...annotators.map((annotator) => row.distance[annotator] ?? null),
          row.nearer,
          row.between,
          row.rho,
          row.sdr['2'] ?? null,
          row.points,
        ]),
      },
    },
  )
}

export function errorsSection({
  scores,
  parts: { truths, annotators },
}: ReportContent): Markup | null {
  if (scores === null) return null
  return section(
    'errors',
    'Errors',
    distributionFigure(scores),
    truths && truthsFigure(truths, scores.result.truth),
    annotators
      ? annotatorsFigure(annotators)
      : absent(
          'The annotations are not those of two doctors, so nothing is measured against both at once.',
        ),
  )
}
