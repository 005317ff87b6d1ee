/** The uncertainty of predictions as aligned columns for a terminal. */

import { annotatorSpread } from '../published.js'
import { align, fixed } from '../text.js'
import type { CoverageCurve } from './coverage.js'
import type { Reliability } from './reliability.js'
import type { UncertaintyResult } from './result.js'

/** Levels that the table shows; the result has all of them. */
const shownLevels = [0.5, 0.8, 0.9, 0.95]

function percent(share: number): string {
  return fixed(100 * share, 1)
}

function coverageRow(name: string, curve: CoverageCurve | null): string[][] {
  if (!curve) return []
  const at = (values: readonly number[], level: number) =>
    values[curve.levels.indexOf(level)] ?? Number.NaN
  return [
    [
      name,
      ...shownLevels.map((level) => percent(at(curve.coverage, level))),
      fixed(100 * curve.meanAbsoluteGap, 1),
      fixed(at(curve.medianArea, 0.95), 1),
    ],
  ]
}

function reliabilityText(name: string, reliability: Reliability | null): string[] {
  if (!reliability) return []
  const { ece, pixelSize } = reliability
  return [`${name}: ECE ${fixed(ece)} % at a heatmap pixel of ${fixed(pixelSize, 3)} mm.`]
}

/** The axes that people's marks have, where these landmarks are among the evaluated ones. */
function annotatorLine(landmarks: UncertaintyResult['perLandmark']): string[] {
  const known = Object.entries(annotatorSpread)
  const all = known.every(([name]) => landmarks.some((row) => row.name === name))
  const axes = known.map(([name, pair]) => `${name} ${pair.map((sd) => fixed(sd)).join(' x ')}`)
  return all
    ? [`Major x minor SD of eleven annotators (Thaler et al. 2021): ${axes.join(', ')}.`]
    : []
}

/** Sections of the result that exist, with a title each. */
export function formatUncertainty(result: UncertaintyResult): string {
  const { ere, outliers, riskCoverage, covariance, temperature, calibration } = result
  const { correlation } = ere
  const origin =
    result.source === 'heatmaps'
      ? `stored heatmaps (cut-off of the ERE ${result.ereCutoff})`
      : 'the predictions file'
  const lines = [
    `Uncertainty of ${result.points} points, from ${origin}${result.fromChains > 0 ? `; of ${result.fromChains} from the points of their chains alone` : ''}.`,
    `Expected radial error ${fixed(ere.mean)} mm; with the true one: Pearson ${fixed(correlation.pearson)}, Spearman ${fixed(correlation.spearman)}, Pearson over ${correlation.blocks.error.length} blocks of ${correlation.blocks.size}: ${fixed(correlation.blocks.pearson)}.`,
    ...outliers.map(
      ({ outlierAbove, outliers: count, auc, atHalf }) =>
        `Outliers over ${outlierAbove} mm: ${count}, AUC ${fixed(auc)}${atHalf ? `; an ERE from ${fixed(atHalf.threshold)} mm finds ${percent(atHalf.truePositiveRate)} % of them at ${percent(atHalf.falsePositiveRate)} % false alarms (MRE ${fixed(atHalf.below.mre)} mm below, ${fixed(atHalf.above.mre)} mm from there)` : ''}.`,
    ),
  ]
  if (riskCoverage) {
    const { aurc, oracleAurc, randomAurc } = riskCoverage
    lines.push(
      `Area under risk-coverage ${fixed(aurc, 3)} mm (perfect order ${fixed(oracleAurc, 3)}, random ${fixed(randomAurc, 3)}).`,
    )
  }
  if (covariance?.between) {
    lines.push(`Between the chains: ${fixed(100 * covariance.betweenShare)} % of the variance.`)
  }
  lines.push(...reliabilityText('Reliability of the mode', result.reliability))
  if (result.likelihood) {
    const { mean, outside } = result.likelihood
    lines.push(
      `Truth: ${fixed(mean)} nats per mm^2${outside > 0 ? `; ${outside} points outside of the canvas` : ''}.`,
    )
  }
  if (calibration) {
    lines.push(
      `Calibrated on ${calibration.name}: ${calibration.images} images, ${calibration.points} points${calibration.overlap > 0 ? `; ${calibration.overlap} of these images are evaluated too, so the figures flatter` : ''}.`,
    )
  }
  if (temperature) {
    const values = temperature.values.map((value) => fixed(value)).join(' ')
    lines.push(
      `Temperatures ${values}; with them ${fixed(temperature.likelihood.mean)} nats per mm^2.`,
      ...reliabilityText('With temperatures', temperature.reliability),
    )
  }
  const coverage = [
    ...coverageRow('ellipse', result.ellipses),
    ...coverageRow('highest density', result.highestDensity),
    ...coverageRow('highest density, temperature', temperature?.highestDensity ?? null),
  ]
  if (coverage.length > 0) {
    const head = ['coverage in %, claimed', ...shownLevels.map(percent), 'mean gap', 'area 95']
    lines.push('', ...align([head, ...coverage]))
  }
  if (result.conformal.length > 0) {
    const rows = result.conformal.map(({ score, level, all }) => [
      `${score} ${percent(level)}`,
      percent(all.coverage),
      fixed(all.meanArea, 1),
      fixed(all.medianArea, 1),
      all.areaIqr.map((area) => fixed(area, 1)).join('-'),
      fixed(all.adaptivity),
    ])
    const head = ['conformal, mm^2', 'covered %', 'mean area', 'median', 'quartiles', 'adaptivity']
    lines.push('', ...align([head, ...rows]))
  }
  const landmarks = result.perLandmark.map((row) => [
    row.name,
    fixed(row.error),
    fixed(row.ere),
    fixed(row.spearman),
    fixed(row.axes[0]),
    fixed(row.axes[1]),
    percent(row.ellipseCoverage95),
    fixed(row.nll),
    ...(temperature ? [fixed(row.temperature)] : []),
  ])
  const head = ['landmark', 'error', 'ERE', 'Spearman', 'major SD', 'minor SD', 'in 95 %', 'NLL']
  lines.push('', ...align([[...head, ...(temperature ? ['T'] : [])], ...landmarks]))
  lines.push(...annotatorLine(result.perLandmark))
  return lines.join('\n')
}
