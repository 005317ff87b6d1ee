/** The clinical measures: how well values and classes agree with the truth, beside what one doctor reaches against the other. */

import type { ClinicalResult, MeasureResult } from '../../clinical/evaluate.js'
import { fixed } from '../../text.js'
import type { PartValues, ReportContent } from '../content.js'
import { absent, figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'
import { blandAltmanChart, differencesOf } from '../plots/agreement.js'
import { type Cell, number, table, withInterval, words } from '../table.js'

type Clinical = PartValues['clinical']

/** Ratios are small numbers: they get a digit more. */
function digitsOf({ unit }: MeasureResult): number {
  return unit === '' ? 3 : 2
}

function withUnit({ name, unit }: MeasureResult): string {
  return unit === '' ? name : `${name}, ${unit}`
}

/** Success rate of one doctor against the other; NaN where there are not two. */
function humanRate(clinical: Clinical, i: number): number {
  return clinical.human?.measures[i]?.scr ?? Number.NaN
}

function measuresFigure(clinical: Clinical): Markup {
  const { measures, human } = clinical
  const rows = measures.map((measure, i): [Cell, ...Cell[]] => {
    const { agreement } = measure
    const digits = digitsOf(measure)
    return [
      words(html`${withUnit(measure)} <small class="below">${measure.label}</small>`),
      number(measure.images, 0),
      withInterval(measure.scr, measure.scrCi95, 1),
      ...(human ? [number(humanRate(clinical, i), 1)] : []),
      number(measure.accuracy, 1),
      number(measure.kappaQuadratic),
      number(agreement.mae, digits),
      withInterval(agreement.bias, agreement.biasCi95, digits),
      words(agreement.limits.map((limit) => fixed(limit, digits)).join(' to '), ''),
      withInterval(agreement.icc21.value, agreement.icc21.ci95),
      number(agreement.within2 ?? Number.NaN, 1),
    ]
  })
  const mean: [Cell, ...Cell[]] = [
    words('mean'),
    number(clinical.images, 0),
    withInterval(clinical.scr, clinical.scrCi95, 1),
    ...(human ? [number(human.scr, 1)] : []),
    ...Array.from({ length: 7 }, () => words('')),
  ]
  return figure(
    table({
      label: 'Agreement by measure',
      heads: [
        'measure',
        'images',
        'success rate, %',
        ...(human ? ['doctors, %'] : []),
        'accuracy, %',
        'κ (quadratic)',
        'mean |error|',
        'bias',
        'limits of agreement',
        'ICC(2,1)',
        'within 2° or 2 mm, %',
      ],
      rows: [...rows, mean],
    }),
    {
      id: 'measures',
      title: 'Agreement of measures and classes',
      wide: true,
      note: html`Success rate: mean over the classes of the share of its images that are put into it.${human && ` Doctors: ${human.name}, on the same images.`} Small figures: 95 % intervals. Read as ${clinical.mode === 'official' ? "the organisers' scripts do, with their quirks" : 'corrected: the measures as they are meant, without the quirks of the published scripts'}.`,
      data: {
        columns: [
          'measure',
          'unit',
          'images',
          'scr',
          'scr_low',
          'scr_high',
          'scr_doctors',
          'accuracy',
          'kappa',
          'kappa_linear',
          'kappa_quadratic',
          'mae',
          'bias',
          'bias_low',
          'bias_high',
          'loa_low',
          'loa_high',
          'dahlberg',
          'icc21',
          'icc31',
          'within_2',
        ],
        rows: measures.map((measure, i) => {
          const { agreement } = measure
          return [
            measure.name,
            measure.unit,
            measure.images,
            measure.scr,
            ...measure.scrCi95,
            humanRate(clinical, i),
            measure.accuracy,
            measure.kappa,
            measure.kappaLinear,
            measure.kappaQuadratic,
            agreement.mae,
            agreement.bias,
            ...agreement.biasCi95,
            ...agreement.limits,
            agreement.dahlberg,
            agreement.icc21.value,
            agreement.icc31.value,
            agreement.within2,
          ]
        }),
      },
    },
  )
}

function blandAltmanFigure(measure: MeasureResult, human: ClinicalResult | null): Markup {
  const other = human?.measures.find(({ name }) => name === measure.name)?.agreement ?? null
  const { agreement, perImage, name, label } = measure
  const { slope, slopeCi95 } = agreement.proportional
  const trend = slopeCi95.every((bound) => bound > 0) || slopeCi95.every((bound) => bound < 0)
  return figure(blandAltmanChart(measure, other), {
    id: `bland-altman-${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`,
    title: `${name}: ${label}`,
    note: html`${agreement.n} images.${trend && ` The difference changes with the value (slope ${fixed(slope)}).`}`,
    data: {
      columns: ['image', 'mean', 'difference'],
      rows: differencesOf(perImage).map(({ id, mean, difference }) => [id, mean, difference]),
    },
  })
}

/** Counts with the share of their row as a ground; a row is a class of the truth. */
function confusionTable({ name, classes, confusion, scr }: MeasureResult): Markup {
  const rows = classes.map(({ name: truth }, i) => {
    const row = confusion[i] ?? []
    const total = row.reduce((sum, count) => sum + count, 0)
    const cells = row.map((count, j) => {
      const share = total === 0 ? 0 : Math.round((100 * count) / total)
      return html`<td class="${i === j ? 'cell hit' : 'cell'}" style="--share:${share}%">${count}<small>${total === 0 ? '' : `${share} %`}</small></td>`
    })
    return html`<tr><th scope="row">${truth}</th>${cells}</tr>`
  })
  return html`<table class="${classes.length > 3 ? 'confusion broad' : 'confusion'}"><caption>${name} <small>success rate ${fixed(scr, 1)} %</small></caption>
<thead><tr><td></td>${classes.map(({ name: predicted }) => html`<th scope="col">${predicted}</th>`)}</tr></thead><tbody>${rows}</tbody></table>`
}

function confusionFigure(measures: readonly MeasureResult[]): Markup {
  return figure(
    html`<div class="confusions scroll" tabindex="0" role="region" aria-label="Confusion of classes by measure">${measures.map(confusionTable)}</div>`,
    {
      id: 'confusion',
      title: 'Confusion of classes',
      wide: true,
      note: 'Rows: class by the truth; columns: class by the prediction. Shares are of the row.',
      data: {
        columns: ['measure', 'true_class', 'predicted_class', 'images'],
        rows: measures.flatMap(({ name, classes, confusion }) =>
          classes.flatMap((truth, i) =>
            classes.map((predicted, j) => [
              name,
              truth.name,
              predicted.name,
              confusion[i]?.[j] ?? null,
            ]),
          ),
        ),
      },
    },
  )
}

function sampledFigure(measures: readonly MeasureResult[]): Markup {
  const sampled = measures.flatMap((measure) =>
    measure.sampled === null ? [] : { measure, figures: measure.sampled },
  )
  if (sampled.length === 0)
    return absent(
      'The predictions store no single chains, so measures have no intervals and classes no probabilities: predict with --chains 20.',
    )
  return figure(
    table({
      label: 'Measures with uncertainty',
      heads: [
        'measure',
        'images',
        'in the 95 % interval, %',
        'mean width',
        'Brier score',
        'class calibration error, %',
      ],
      rows: sampled.map(({ measure, figures }): [Cell, ...Cell[]] => [
        words(withUnit(measure)),
        number(figures.images, 0),
        number(figures.coverage, 1),
        number(figures.width, digitsOf(measure)),
        number(figures.brier, 3),
        number(figures.ece, 1),
      ]),
    }),
    {
      id: 'sampled-measures',
      title: 'Measures with uncertainty',
      wide: true,
      note: 'Each chain is a joint draw of all landmarks, so its measure is a draw of the measure: the interval holds 95 % of them, a class has the share of the draws in it. Brier score: 0 is best, 2 worst.',
      data: {
        columns: [
          'measure',
          'image',
          'truth',
          'predicted',
          'low',
          'high',
          'true_class',
          'predicted_class',
          'probabilities',
        ],
        rows: sampled.flatMap(({ measure }) =>
          measure.perImage.map(
            ({ id, truth, predicted, sampled: own, truthClass, predictedClass }) => [
              measure.name,
              id,
              truth,
              predicted,
              own?.interval[0] ?? null,
              own?.interval[1] ?? null,
              truthClass,
              predictedClass,
              own?.probabilities.map((p) => fixed(p, 3)).join(' ') ?? null,
            ],
          ),
        ),
      },
    },
  )
}

export function clinicalSection({ scores, parts: { clinical } }: ReportContent): Markup | null {
  if (scores === null) return null
  if (clinical === undefined)
    return section(
      'clinical',
      'Clinical measures',
      absent('These landmarks have no clinical measures, or none of them has a value here.'),
    )
  const known = clinical.measures.filter(({ images }) => images > 0)
  return section(
    'clinical',
    'Clinical measures',
    measuresFigure({
      ...clinical,
      measures: known,
      human: clinical.human && humanOf(clinical.human, known),
    }),
    html`<h3 class="group">Agreement with the truth (Bland-Altman)</h3><ul class="legend"><li><i class="key line prediction" aria-hidden="true"></i>bias and limits of agreement</li><li><i class="key area box" aria-hidden="true"></i>their 95 % intervals</li>${clinical.human && html`<li><i class="key line human" aria-hidden="true"></i>limits of ${clinical.human.name}</li>`}</ul><div class="grid three">${known.map((measure) => blandAltmanFigure(measure, clinical.human))}</div>`,
    confusionFigure(known),
    sampledFigure(known),
  )
}

/** The doctors' measures in the order of the shown ones. */
function humanOf(human: NonNullable<Clinical['human']>, known: readonly MeasureResult[]) {
  const measures = known.flatMap(
    ({ name }) => human.measures.find((own) => own.name === name) ?? [],
  )
  return { ...human, measures }
}
