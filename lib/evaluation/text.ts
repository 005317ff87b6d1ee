/** An evaluation result as aligned columns for a terminal. */

import type { EvaluationResult } from './evaluate.js'
import { type Convention, thresholds } from './metrics.js'
import type { Reference } from './references.js'

/** What a convention does, in words, for whoever reads the figures. */
export const conventionText: Record<Convention, string> = {
  pooled: 'SD over all points; a point within z mm has r <= z',
  official: 'means of the per-landmark columns, SD too; a point within z mm has r <= z',
  'per-image': 'SD of the image means; a point within z mm has r <= z',
  strict: 'SD over all points; a point within z mm has r < z',
}

/** A number with two decimals, or a dash where there is none. */
export function fixed(value: number, digits = 2): string {
  // What rounds to zero has no sign.
  return Number.isFinite(value) ? value.toFixed(digits).replace(/^-(?=[0.]*$)/, '') : '-'
}

/** Pads columns to equal width: the first to the right, the others to the left. */
export function align(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((row) => row[c]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

function rates(sdr: EvaluationResult['sdr']): string[] {
  return thresholds.map((threshold) => fixed(sdr[`${threshold}`]))
}

function summaryRow(name: string, { mre, sdr }: EvaluationResult): string[] {
  const interval = mre.ci95.map((bound) => fixed(bound)).join('-')
  return [name, fixed(mre.mean), fixed(mre.sd), interval, ...rates(sdr)]
}

/** Column heads of the success rates: `<= 2 mm`, or `< 2 mm` in the strict convention. */
export function rateHeads(convention: Convention): string[] {
  const within = convention === 'strict' ? '<' : '<='
  return thresholds.map((threshold) => `${within} ${threshold} mm`)
}

/** The result as sections of text: what was scored with the summary beside its references, and a line a landmark. `tables` names those wanted. */
export function formatEvaluation(
  result: EvaluationResult,
  references: readonly Reference[] = [],
  tables: readonly string[] = ['summary', 'landmarks'],
): string[] {
  const heads = rateHeads(result.convention)
  const summary = align([
    ['', 'MRE', 'SD', '95 % CI', ...heads],
    summaryRow('predictions', result),
    ...references.map((row) => summaryRow(row.name, row.result)),
  ])
  const landmarks = align([
    ['landmark', 'MRE', 'SD', 'median', 'P90', 'P95', ...heads, '> 10 mm', 'missing'],
    ...result.perLandmark.map((row) => [
      row.name,
      fixed(row.mre),
      fixed(row.sd),
      fixed(row.median),
      fixed(row.p90),
      fixed(row.p95),
      ...rates(row.sdr),
      String(row.over10mm),
      String(row.missing),
    ]),
  ])
  const head = `Split ${result.split}, truth ${result.truth}: ${result.images} images, ${result.points} points, ${result.missing} not found, ${result.over10mm} over 10 mm. Errors in mm, rates in percent.`
  const left = result.excluded.length > 0 ? [`Left out: ${result.excluded.join(', ')}.`] : []
  const rule = `Convention ${result.convention}: ${conventionText[result.convention]}.`
  const top = [head, ...left, rule].join('\n')
  return [
    top,
    ...(tables.includes('summary') ? [summary.join('\n')] : []),
    ...(tables.includes('landmarks') ? [landmarks.join('\n')] : []),
  ]
}
