/** Whether the predictions know how wrong they are: calibration, outliers, risk and coverage. */

import { fixed } from '../../text.js'
import type { UncertaintyResult } from '../../uncertainty/result.js'
import { riskCoverage } from '../../uncertainty/risk-coverage.js'
import type { ReportContent, Scores } from '../content.js'
import { absent, type FigureData, figure, section } from '../figure.js'
import { html, type Markup } from '../html.js'
import {
  type CoverageSeries,
  expectedErrors,
  modeReliability,
  outlierCurves,
  regionCoverage,
  retainedErrors,
  retainedRate,
} from '../plots/uncertainty.js'
import { type Cell, number, table, words } from '../table.js'

const percent = (share: number) => fixed(100 * share, 1)

function coverageFigure({
  ellipses,
  highestDensity,
  temperature,
}: UncertaintyResult): Markup | null {
  const all: [string, string, CoverageSeries['curve'] | null][] = [
    ['ellipses', 'prediction', ellipses],
    ['highest-density regions', 'truth', highestDensity],
    ['highest-density regions with temperatures', 'human', temperature?.highestDensity ?? null],
  ]
  const series = all.flatMap(([name, kind, curve]) => (curve ? { name, kind, curve } : []))
  if (series.length === 0) return null
  return figure(regionCoverage(series), {
    id: 'coverage',
    title: 'Coverage of regions',
    legend: series.map(({ name, kind }) => [`line ${kind}`, name]),
    note: series
      .map(
        ({ name, curve }) =>
          `${name}: mean gap ${percent(curve.meanAbsoluteGap)} percentage points; median area at 95 %: ${fixed(curve.medianArea.at(-1) ?? Number.NaN, 1)} mm².`,
      )
      .join(' '),
    data: {
      columns: ['region', 'level', 'coverage', 'mean_area_mm2', 'median_area_mm2'],
      rows: series.flatMap(({ name, curve }) =>
        curve.levels.map((level, i) => [
          name,
          level,
          curve.coverage[i] ?? null,
          curve.meanArea[i] ?? null,
          curve.medianArea[i] ?? null,
        ]),
      ),
    },
  })
}

function reliabilityFigure({ reliability, temperature }: UncertaintyResult): Markup | null {
  if (reliability === null) return null
  const tempered = temperature?.reliability
  return figure(modeReliability(reliability), {
    id: 'reliability',
    title: 'Reliability of the hottest pixel',
    note: `Size: number of points. Expected calibration error ${fixed(reliability.ece)} % at a heatmap pixel of ${fixed(reliability.pixelSize, 3)} mm, on which it depends${tempered ? `; ${fixed(tempered.ece)} % with temperatures` : ''}.`,
    data: {
      columns: ['from', 'points', 'confidence', 'accuracy'],
      rows: reliability.bins.map(({ from, points, confidence, accuracy }) => [
        from,
        points,
        confidence,
        accuracy,
      ]),
    },
  })
}

function expectedFigure({ ere }: UncertaintyResult): Markup | null {
  const { blocks, pearson, spearman } = ere.correlation
  if (blocks.expected.length === 0) return null
  return figure(expectedErrors(ere.correlation), {
    id: 'expected-error',
    title: 'Expected and true errors',
    note: `Means of ${blocks.size} points in the order of their expected error. Correlation of the blocks ${fixed(blocks.pearson)}; of single points: Pearson ${fixed(pearson)}, Spearman ${fixed(spearman)}.`,
    data: {
      columns: ['expected', 'error'],
      rows: blocks.expected.map((expected, i) => [expected, blocks.error[i] ?? null]),
    },
  })
}

const outlierColours = ['truth', 'prediction']

function outliersFigure({ outliers }: UncertaintyResult): Markup | null {
  const curves = outliers.flatMap((curve, i) =>
    Number.isNaN(curve.auc) ? [] : { ...curve, kind: outlierColours[i] ?? 'human' },
  )
  if (curves.length === 0) return null
  const sentences = curves.map(
    ({ outlierAbove, outliers: count, auc, atHalf }) =>
      `Over ${outlierAbove} mm (${count} points): area ${fixed(auc)}${atHalf ? `; an expected error from ${fixed(atHalf.threshold)} mm finds half of them at ${percent(atHalf.falsePositiveRate)} % false alarms` : ''}.`,
  )
  return figure(outlierCurves(curves), {
    id: 'outliers',
    title: 'Outliers found by the expected error',
    legend: curves.map(({ kind, outlierAbove }) => [
      `line ${kind}`,
      `errors over ${outlierAbove} mm`,
    ]),
    note: sentences.join(' '),
    data: {
      columns: ['outlier_above_mm', 'false_positive_rate', 'true_positive_rate'],
      rows: curves.flatMap(({ outlierAbove, falsePositiveRate, truePositiveRate }) =>
        falsePositiveRate.map((rate, i) => [outlierAbove, rate, truePositiveRate[i] ?? null]),
      ),
    },
  })
}

/** The perfect order needs the errors of the found points alone. */
function retainedFigures(
  { riskCoverage: own }: UncertaintyResult,
  { errors }: Scores,
): (Markup | null)[] {
  const found = [...errors.values].filter(Number.isFinite)
  const oracle = riskCoverage(found, found)
  if (own === null || oracle === null) return []
  const data: FigureData = {
    columns: ['coverage', 'mre', 'sdr_2', 'mre_of_perfect_order'],
    rows: own.coverage.map((share, i) => [
      share,
      own.mre[i] ?? null,
      own.sdr2[i] ?? null,
      oracle.mre[i] ?? null,
    ]),
  }
  return [
    figure(retainedErrors(own, oracle), {
      id: 'risk-coverage',
      title: 'Risk and coverage',
      legend: [
        ['line prediction', 'order of the expected errors'],
        ['line truth dashed', 'perfect order'],
        ['line soft dashed', 'no order'],
      ],
      note: `Area under the curve ${fixed(own.aurc, 3)} mm; ${fixed(own.oracleAurc, 3)} in the perfect order, ${fixed(own.randomAurc, 3)} without any.`,
      data,
    }),
    figure(retainedRate(own), {
      id: 'rate-coverage',
      title: 'Detection rate and coverage',
      note: 'The least sure points are left out first; dashed: all points.',
      data,
    }),
  ]
}

function conformalFigure({ conformal, calibration }: UncertaintyResult): Markup | null {
  if (conformal.length === 0 || calibration === null) return null
  return figure(
    table({
      label: 'Conformal regions',
      heads: [
        'region',
        'claimed, %',
        'found, %',
        'mean area, mm²',
        'median, mm²',
        'quartiles, mm²',
        'adaptivity',
      ],
      rows: conformal.map(({ score, level, all }): [Cell, ...Cell[]] => [
        words(score),
        number(100 * level, 0),
        number(100 * all.coverage, 1),
        number(all.meanArea, 1),
        number(all.medianArea, 1),
        words(all.areaIqr.map((area) => fixed(area, 1)).join(' to '), ''),
        number(all.adaptivity),
      ]),
    }),
    {
      id: 'conformal',
      title: 'Conformal regions',
      wide: true,
      note: `Calibrated on ${calibration.name}: ${calibration.images} images, ${calibration.points} points${calibration.overlap > 0 ? `, of which ${calibration.overlap} images are evaluated too, so that the figures flatter` : ''}. Adaptivity: rank correlation of error and area.`,
      data: {
        columns: [
          'region',
          'level',
          'coverage',
          'mean_area_mm2',
          'median_area_mm2',
          'area_q1_mm2',
          'area_q3_mm2',
          'adaptivity',
        ],
        rows: conformal.map(({ score, level, all }) => [
          score,
          level,
          all.coverage,
          all.meanArea,
          all.medianArea,
          ...all.areaIqr,
          all.adaptivity,
        ]),
      },
    },
  )
}

function landmarkFigure({ perLandmark, temperature, source }: UncertaintyResult): Markup {
  const stored = source === 'heatmaps'
  return figure(
    table({
      label: 'Uncertainty by landmark',
      sortable: true,
      heads: [
        { name: 'landmark', fixed: true },
        'error, mm',
        'expected, mm',
        'Spearman',
        'major SD, mm',
        'minor SD, mm',
        'in 95 % ellipse, %',
        ...(stored ? ['nats per mm²'] : []),
        ...(temperature ? ['temperature'] : []),
      ],
      rows: perLandmark.map((row): [Cell, ...Cell[]] => [
        words(row.name),
        number(row.error),
        number(row.ere),
        number(row.spearman),
        number(row.axes[0]),
        number(row.axes[1]),
        number(100 * row.ellipseCoverage95, 1),
        ...(stored ? [number(row.nll)] : []),
        ...(temperature ? [number(row.temperature)] : []),
      ]),
    }),
    {
      id: 'landmark-uncertainty',
      title: 'Uncertainty landmark by landmark',
      wide: true,
      note: 'Spearman: rank correlation of true and expected errors. SD: along the axes of the mean covariance.',
      data: {
        columns: [
          'landmark',
          'points',
          'error',
          'ere',
          'pearson',
          'spearman',
          'major_sd',
          'minor_sd',
          'ellipse_coverage_95',
          'ellipse_gap',
          'nll',
          'temperature',
        ],
        rows: perLandmark.map((row) => [
          row.name,
          row.points,
          row.error,
          row.ere,
          row.pearson,
          row.spearman,
          ...row.axes,
          row.ellipseCoverage95,
          row.ellipseGap,
          row.nll,
          row.temperature,
        ]),
      },
    },
  )
}

/** What is missing for the rest, in words. */
function absences({
  highestDensity,
  ellipses,
  reliability,
  calibration,
  source,
}: UncertaintyResult): Markup[] {
  const lines = [
    source === 'predictions' &&
      highestDensity === null &&
      'Highest-density regions and likelihoods need stored heatmaps: predict with --heatmaps DIR, and give the report the same folder.',
    ellipses === null &&
      'The predictions store no covariances, so the coverage of ellipses is not known.',
    reliability === null && 'The predictions store no confidence, so its reliability is not known.',
    calibration === null &&
      'Temperatures and conformal regions need other images to be calibrated on: --calibration SPLIT.',
  ]
  return lines.filter((line) => line !== false).map((line) => absent(line))
}

function inWords({
  points,
  fromChains,
  source,
  ere,
  covariance,
  likelihood,
}: UncertaintyResult): string {
  const origin = source === 'heatmaps' ? 'stored heatmaps' : 'the figures of the predictions file'
  const chains = fromChains > 0 ? `, of ${fromChains} from the points of their chains alone` : ''
  const share =
    covariance && !Number.isNaN(covariance.betweenShare)
      ? ` ${percent(covariance.betweenShare)} % of the variance lies between the chains, the rest within them.`
      : ''
  const truth =
    likelihood && !Number.isNaN(likelihood.mean)
      ? ` The truth costs ${fixed(likelihood.mean)} nats per mm² on average.`
      : ''
  return `Of ${points} points, from ${origin}${chains}. The expected radial error is ${fixed(ere.mean)} mm on average.${share}${truth}`
}

export function uncertaintySection({ scores, parts }: ReportContent): Markup | null {
  if (scores === null) return null
  const { uncertainty: result } = parts
  const title = 'Uncertainty'
  if (result === undefined)
    return section(
      'uncertainty',
      title,
      absent(
        scores.result.truth === 'nearest' || scores.result.truth === 'either'
          ? `Calibration needs one truth a point; '${scores.result.truth}' has none.`
          : 'The predictions say nothing of their uncertainty: no expected errors, covariances, chains or heatmaps. `predict` stores them.',
      ),
    )
  return section(
    'uncertainty',
    title,
    html`<p>${inWords(result)}</p><div class="grid">${[coverageFigure(result), reliabilityFigure(result), expectedFigure(result), outliersFigure(result), ...retainedFigures(result, scores)]}</div>`,
    absences(result),
    conformalFigure(result),
    landmarkFigure(result),
  )
}
