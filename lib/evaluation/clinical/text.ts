/** A clinical comparison as tables for a terminal. */

import { mean } from '../statistics/index.js'
import { align, fixed } from '../text.js'
import { isbiHumanRates } from './cephalometry.js'
import type { MeasureResult } from './evaluate.js'
import type { ClinicalComparison } from './part.js'

function rateRow(name: string, rates: readonly number[], overall: number): string[] {
  return [name, ...rates, overall].map((cell) => (typeof cell === 'number' ? fixed(cell, 1) : cell))
}

/** What two doctors reach on ISBI 2015, for its eight measures. */
function publishedRows({ mode }: ClinicalComparison['predictions']): string[][] {
  if (mode === null) return []
  return Object.entries(isbiHumanRates).map(([name, rates]) => rateRow(name, rates, mean(rates)))
}

/** Success rates of the predictions, with their intervals, and of people. */
function rateTable({ predictions, human }: ClinicalComparison): string[] {
  const { measures, scr, scrCi95 } = predictions
  const bound = (side: 0 | 1) => measures.map((measure) => measure.scrCi95[side])
  const people = human
    ? [
        rateRow(
          human.name,
          human.measures.map((measure) => measure.scr),
          human.scr,
        ),
      ]
    : publishedRows(predictions)
  return align([
    ['success rate, %', ...measures.map(({ name }) => name), 'mean'],
    rateRow(
      'predictions',
      measures.map((measure) => measure.scr),
      scr,
    ),
    rateRow('  95 % interval from', bound(0), scrCi95[0]),
    rateRow('  to', bound(1), scrCi95[1]),
    ...people,
  ])
}

/** How well the classes agree, and how many images each class has by truth and by prediction. */
function classTable(measures: readonly MeasureResult[]): string[] {
  const lines = align([
    ['measure', 'images', 'accuracy, %', 'kappa', 'linear', 'quadratic'],
    ...measures.map((measure) => [
      measure.name,
      String(measure.images),
      fixed(measure.accuracy, 1),
      fixed(measure.kappa),
      fixed(measure.kappaLinear),
      fixed(measure.kappaQuadratic),
    ]),
  ])
  const counts = measures.map(({ classes }) =>
    classes.map(({ name, truth, predicted }) => `${name} ${truth}/${predicted}`).join(', '),
  )
  return lines.map((line, i) => `${line}  ${i === 0 ? 'class truth/predicted' : counts[i - 1]}`)
}

/** Ratios are small numbers: they get a digit more. */
function digitsOf({ unit }: MeasureResult): number {
  return unit === '' ? 3 : 2
}

/** How well the values agree, prediction less truth. */
function agreementTable({ predictions, human }: ClinicalComparison): string[] {
  const limits = (measure: MeasureResult | undefined) =>
    measure
      ? measure.agreement.limits.map((limit) => fixed(limit, digitsOf(measure))).join(' to ')
      : '-'
  return align([
    [
      ...['measure', 'bias', '95 % limits', 'MAE', 'Dahlberg', 'within 2, %'],
      ...['ICC(2,1)', 'ICC(3,1)', human ? `limits of ${human.name}` : 'limits of people'],
    ],
    ...predictions.measures.map((measure, i) => {
      const { name, unit, agreement } = measure
      const digits = digitsOf(measure)
      return [
        `${name}${unit === '' ? '' : ` (${unit})`}`,
        fixed(agreement.bias, digits),
        limits(measure),
        fixed(agreement.mae, digits),
        fixed(agreement.dahlberg, digits),
        fixed(agreement.within2 ?? Number.NaN, 1),
        fixed(agreement.icc21.value),
        fixed(agreement.icc31.value),
        limits(human?.measures[i]),
      ]
    }),
  ])
}

/** What the chains say; null without chains. */
function chainTable(measures: readonly MeasureResult[]): string[] | null {
  const rows = measures.flatMap((measure) => {
    const { name, sampled } = measure
    if (sampled === null) return []
    const { images, brier, ece, coverage, width } = sampled
    return [
      [
        name,
        String(images),
        fixed(brier, 3),
        fixed(ece, 1),
        fixed(coverage, 1),
        fixed(width, digitsOf(measure)),
      ],
    ]
  })
  const head = ['from chains', 'images', 'Brier', 'class ECE, %', 'in 95 % interval, %', 'width']
  return rows.length === 0 ? null : align([head, ...rows])
}

/** The tables below a title, with an empty line between two of them. */
export function formatClinical(comparison: ClinicalComparison): string {
  const { mode, measures } = comparison.predictions
  const tables = [
    rateTable(comparison),
    classTable(measures),
    agreementTable(comparison),
    chainTable(measures),
  ].filter((table) => table !== null)
  const title = mode === null ? 'Measures of the landmark set' : `Clinical measures, ${mode}`
  return [title, tables.map((table) => table.join('\n')).join('\n\n')].join('\n')
}
