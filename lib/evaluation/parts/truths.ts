/** The same predictions against every truth, side by side, with and without the landmarks whose convention is disputed (evaluation.md 2.1: the choice of truth moves the result by more than most methods differ). */

import { type Annotations, combinedTruths, radialErrors } from '../errors.js'
import { summarize } from '../evaluate.js'
import { thresholds } from '../metrics.js'
import { align, fixed } from '../text.js'
import type { Evidence, Part } from './part.js'

export interface TruthRow {
  truth: string
  /** Landmarks left out of this row beyond those excluded everywhere. */
  without: string[]
  images: number
  points: number
  missing: number
  mre: number
  sd: number
  median: number
  sdr: Record<string, number>
}

/** One row a truth, and a second one without the disputed landmarks where there are some. Truths without a point on the scored images are left out. */
export function truthTable(evidence: Evidence): TruthRow[] {
  const { truths = new Map(), annotators, exclude = [], errors, convention = 'pooled' } = evidence
  const named: [string, Annotations][] = [...truths]
  const sources = (annotators?.size ?? 0) > 1 ? [...named, ...combinedTruths.map(combined)] : named
  const disputed = (evidence.landmarkSet?.disputed ?? []).filter((name) =>
    errors.landmarks.includes(name),
  )
  const selections = disputed.length > 0 ? [[], disputed] : [[]]
  return sources.flatMap(([truth, annotations]) =>
    selections.flatMap((without): TruthRow[] => {
      if (without.length === errors.landmarks.length) return []
      const table = radialErrors({
        ...evidence,
        truth,
        annotations,
        exclude: [...exclude, ...without],
      })
      const { images, points, missing, mre, median, sdr } = summarize(table, convention, {
        resamples: 0,
      })
      if (points === 0) return []
      return [{ truth, without, images, points, missing, mre: mre.mean, sd: mre.sd, median, sdr }]
    }),
  )
}

/** A combined truth reads the annotators, not a list of points. */
function combined(name: string): [string, Annotations] {
  return [name, new Map()]
}

export const truthsPart: Part = {
  key: 'truths',
  run: (evidence) => {
    const value = truthTable(evidence)
    if (value.length < 2) return null
    const rows = value.map(({ truth, without, images, points, mre, sd, median, sdr }) => [
      without.length > 0 ? `${truth} without ${without.join(', ')}` : truth,
      fixed(mre),
      fixed(sd),
      fixed(median),
      ...thresholds.map((limit) => fixed(sdr[String(limit)] ?? Number.NaN)),
      String(images),
      String(points),
    ])
    const head = ['truth', 'MRE', 'SD', 'median', ...thresholds.map((limit) => `${limit} mm`)]
    return {
      value,
      text: ['Against each truth', ...align([[...head, 'images', 'points'], ...rows])].join('\n'),
    }
  },
}
