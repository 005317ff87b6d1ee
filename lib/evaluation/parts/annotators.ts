/** Metrics that use both annotators of an image, which the paper (arXiv 2407.09192) names as future work; evaluation.md 2.2. */

import { type Annotations, type OffsetTable, offsets } from '../errors.js'
import { type Convention, isWithin, thresholds } from '../metrics.js'
import { mean } from '../statistics/index.js'
import { align, fixed } from '../text.js'
import type { Evidence, Part } from './part.js'

export interface AnnotatorFigures {
  /** Points that both annotators marked and the prediction found. */
  points: number
  /** Mean distance in mm from the prediction to each annotator, by name. */
  distance: Record<string, number>
  /** Mean distance in mm to the nearer of the two. */
  nearer: number
  /** Mean distance in mm between the annotators. */
  between: number
  /**
   * Mean of d(J, S) / (e_J + e_S), in [0, 1]: 1 when the prediction lies on the segment between the
   * annotators, near 0 when it is farther away than they are apart.
   */
  rho: number
  /** Percent of these points within so many mm of the nearer annotator. */
  sdr: Record<string, number>
}

export interface AnnotatorMetrics extends AnnotatorFigures {
  annotators: [string, string]
  /** Without the landmarks whose convention is disputed; null where there is none. */
  withoutDisputed: ({ without: string[] } & AnnotatorFigures) | null
  perLandmark: ({ name: string } & AnnotatorFigures)[]
}

/** One point with the offsets, in mm, from each annotator to it. */
interface Triple {
  landmark: string
  first: number
  second: number
  between: number
}

/** rho of one point; where all three points coincide the prediction lies on the (empty) segment. */
export function segmentRatio(first: number, second: number, between: number): number {
  const sum = first + second
  // The triangle inequality holds up to rounding.
  return sum === 0 ? 1 : Math.min(1, between / sum)
}

function triples(a: OffsetTable, b: OffsetTable): Triple[] {
  const columns = a.landmarks.length
  const rowOf = new Map(b.ids.map((id, i) => [id, i]))
  return a.ids.flatMap((id, i) => {
    const other = rowOf.get(id)
    if (other === undefined) return []
    return a.landmarks.flatMap((landmark, j): Triple[] => {
      const [at, bt] = [i * columns + j, other * columns + j]
      const [ax, ay] = [a.dx[at] as number, a.dy[at] as number]
      const [bx, by] = [b.dx[bt] as number, b.dy[bt] as number]
      if (!Number.isFinite(ax) || !Number.isFinite(bx)) return []
      return [
        {
          landmark,
          first: Math.hypot(ax, ay),
          second: Math.hypot(bx, by),
          between: Math.hypot(ax - bx, ay - by),
        },
      ]
    })
  })
}

function figures(
  points: readonly Triple[],
  names: readonly [string, string],
  convention: Convention,
): AnnotatorFigures {
  const nearer = points.map(({ first, second }) => Math.min(first, second))
  return {
    points: points.length,
    distance: {
      [names[0]]: mean(points.map(({ first }) => first)),
      [names[1]]: mean(points.map(({ second }) => second)),
    },
    nearer: mean(nearer),
    between: mean(points.map(({ between }) => between)),
    rho: mean(points.map(({ first, second, between }) => segmentRatio(first, second, between))),
    sdr: Object.fromEntries(
      thresholds.map((limit) => [
        String(limit),
        (100 * nearer.filter((error) => isWithin(error, limit, convention)).length) / nearer.length,
      ]),
    ),
  }
}

/** The metrics of exactly two annotators; null for any other number, or where they share no found point. */
export function annotatorMetrics(evidence: Evidence): AnnotatorMetrics | null {
  const { annotators = new Map<string, Annotations>(), convention = 'pooled' } = evidence
  const [first, second, third] = [...annotators]
  if (!first || !second || third) return null
  const names: [string, string] = [first[0], second[0]]
  const [a, b] = [first[1], second[1]].map((annotations) =>
    offsets({ ...evidence, annotations }),
  ) as [OffsetTable, OffsetTable]
  const points = triples(a, b)
  if (points.length === 0) return null
  const without = (evidence.landmarkSet?.disputed ?? []).filter((name) =>
    a.landmarks.includes(name),
  )
  const undisputed = points.filter(({ landmark }) => !without.includes(landmark))
  return {
    annotators: names,
    ...figures(points, names, convention),
    withoutDisputed:
      without.length > 0 && undisputed.length > 0
        ? { without, ...figures(undisputed, names, convention) }
        : null,
    perLandmark: a.landmarks.map((name) => ({
      name,
      ...figures(
        points.filter(({ landmark }) => landmark === name),
        names,
        convention,
      ),
    })),
  }
}

export const annotatorsPart: Part = {
  key: 'annotators',
  run: (evidence) => {
    const value = annotatorMetrics(evidence)
    if (value === null) return null
    const { annotators, withoutDisputed, perLandmark } = value
    const row = (name: string, part: AnnotatorFigures) => [
      name,
      ...annotators.map((annotator) => fixed(part.distance[annotator] ?? Number.NaN)),
      fixed(part.nearer),
      fixed(part.between),
      fixed(part.rho, 3),
      fixed(part.sdr['2'] ?? Number.NaN),
      String(part.points),
    ]
    return {
      value,
      text: [
        'Against both annotators: distances in mm; rho is their distance over the sum of the distances to them (1: between them)',
        ...align([
          ['', ...annotators, 'nearer', 'apart', 'rho', '2 mm of nearer', 'points'],
          row('all', value),
          ...(withoutDisputed
            ? [row(`without ${withoutDisputed.without.join(', ')}`, withoutDisputed)]
            : []),
          ...perLandmark.map((part) => row(part.name, part)),
        ]),
      ].join('\n'),
    }
  },
}
