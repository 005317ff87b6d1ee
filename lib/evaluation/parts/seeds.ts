/** The same images predicted with several seeds of the noise: how much of a result is chance of the sampling (evaluation.md 2.6). */

import { LandmarkDiffusionError } from '../../errors.js'
import { commonPoints } from '../comparison/common-points.js'
import { radialErrors } from '../errors.js'
import { summarize } from '../evaluate.js'
import { type Convention, type ErrorTable, standardDeviation, thresholds } from '../metrics.js'
import { mean, sampleSd } from '../statistics/index.js'
import { align, fixed } from '../text.js'
import type { Part } from './part.js'

/** With fewer seeds the SD across them says little. */
const enoughSeeds = 5

/** A figure over the seeds: its values, their mean, and their sample SD (divided by n - 1). */
export interface OverSeeds {
  values: number[]
  mean: number
  sd: number
}

export interface SeedFigures {
  seeds: number
  /** Images that were predicted with every seed. */
  images: number
  /** mm. */
  mre: OverSeeds
  /** Percent. */
  sdr: Record<'2' | '2.5' | '3' | '4', OverSeeds>
  /** SD of the image means in mm, mean over the seeds: what the SD across the seeds is to be seen beside. */
  acrossImages: number
}

function overSeeds(values: number[]): OverSeeds {
  return { values, mean: mean(values), sd: sampleSd(values) }
}

/** Figures of several error tables of the same images, one a seed. @throws ERR_DATA when they have no point in common, or when two are the same */
export function seedFigures(
  tables: readonly ErrorTable[],
  convention: Convention = 'pooled',
): SeedFigures {
  const { tables: common } = commonPoints(
    tables.map((errors, i) => ({ name: `repetition ${i + 1}`, errors })),
  )
  const texts = common.map(({ values }) => values.join())
  if (new Set(texts).size < texts.length)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      'Two of the repetitions have the same errors everywhere, so they are not of different seeds. Predict again with another --seed.',
    )
  const results = common.map((table) => summarize(table, convention, { resamples: 0 }))
  return {
    seeds: results.length,
    images: common[0]?.ids.length ?? 0,
    mre: overSeeds(results.map(({ mre }) => mre.mean)),
    sdr: Object.fromEntries(
      thresholds.map((limit) => [
        String(limit),
        overSeeds(results.map(({ sdr }) => sdr[`${limit}`])),
      ]),
    ) as SeedFigures['sdr'],
    acrossImages: mean(common.map((table) => standardDeviation(table, 'per-image'))),
  }
}

function text({ seeds, images, mre, sdr, acrossImages }: SeedFigures): string {
  const few = seeds < enoughSeeds ? ` Fewer than ${enoughSeeds} seeds: the SD is hardly known.` : ''
  const row = (name: string, { values, mean: centre, sd }: OverSeeds) => [
    name,
    fixed(centre),
    fixed(sd, 3),
    fixed(Math.min(...values)),
    fixed(Math.max(...values)),
  ]
  return [
    `Over ${seeds} seeds, ${images} images. SD of the image means ${fixed(acrossImages)} mm.${few}`,
    ...align([
      ['', 'mean', 'SD of seeds', 'lowest', 'highest'],
      row('MRE, mm', mre),
      ...thresholds.map((limit) => row(`within ${limit} mm, %`, sdr[`${limit}`])),
    ]),
  ].join('\n')
}

export const seedsPart: Part = {
  key: 'seeds',
  run: ({ repeats = [], ...evidence }) => {
    if (repeats.length === 0) return null
    const others = repeats.map((predictions) => radialErrors({ ...evidence, predictions }))
    const value = seedFigures([evidence.errors, ...others], evidence.convention)
    return { value, text: text(value) }
  },
}
