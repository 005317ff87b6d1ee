/** The rows of a reproduction beside the paper's. */

import { align, fixed } from '../../evaluation/text.js'
import type { ReproducedRow, Reproduction } from './result.js'

/** The thresholds that the paper's table has. */
const limits = ['2', '2.5', '4'] as const

function cells({ result, seeds, paper }: ReproducedRow): string[] {
  return [
    fixed(result?.mre.mean ?? Number.NaN),
    fixed(result?.mre.sd ?? Number.NaN),
    fixed(seeds?.mre.sd ?? Number.NaN, 3),
    ...limits.map((limit) => fixed(result?.sdr[limit] ?? Number.NaN)),
    fixed(paper?.mre ?? Number.NaN),
    fixed(paper?.sd ?? Number.NaN),
    ...limits.map((limit) => fixed(paper?.sdr?.[limit] ?? Number.NaN)),
  ]
}

export function formatReproduction(reproduction: Reproduction): string[] {
  const { title, preset, set, data, split, seeds, rows } = reproduction
  const within = limits.map((limit) => `< ${limit}`)
  const changes = set.length > 0 ? ` with ${set.join(', ')}` : ''
  const table = align([
    ['', 'MRE', 'SD', 'SD of seeds', ...within, 'paper: MRE', 'SD', ...within],
    ...rows.map((row) => [row.name, ...cells(row)]),
  ])
  const notes = rows.flatMap(({ name, note }) => (note === undefined ? [] : [`${name}: ${note}.`]))
  const images = rows.find(({ result }) => result !== null)?.result?.images
  const scored =
    images === undefined
      ? `Not scored: ${data} has no annotations of ${split}. The predictions lie in ${reproduction.folder}.`
      : `${images} images of ${split} in ${data}, ${seeds} seed${seeds === 1 ? '' : 's'}. MRE and SD in mm (SD over all points), rates in percent (strictly less, as the paper's code has it).`
  return [
    [`${title}, preset ${preset}${changes}`, scored].join('\n'),
    table.join('\n'),
    [
      'The paper: 640x800 pixels, T = 200 and as many steps, ISBI 2015 with the mean of the doctors; - is not known.',
      ...notes,
    ].join('\n'),
  ]
}
