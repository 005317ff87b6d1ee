/** What the points of a data set tell about its annotations: outliers, swapped landmarks, conventions that differ or change, implausible scale, copies. */

import type { Point } from '../../landmarks/geometry.js'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import type { Finding } from './finding.js'
import {
  fitShapes,
  median,
  medianPoint,
  robustDistance,
  type Shape,
  type ShapeModel,
} from './shape.js'

/** The points of a data set, with the scale applied where it is known. */
export interface PointSet {
  readonly landmarkSet: LandmarkSet
  /** `mm`, or `px` where an image has no pixel size. */
  readonly unit: 'mm' | 'px'
  readonly shapes: readonly Shape[]
  readonly splits: ReadonlyMap<string, readonly string[]>
}

/** A residual of so many robust SDs is an outlier, if it is long in mm as well. */
const outlierDistance = 6
const outlierLength = { mm: 5, px: 50 }
/** Two annotators, or one in two splits, differ if their means do by this much and by so many standard errors. */
const conventionLength = { mm: 2, px: 20 }
const conventionErrors = 5
/** Two images whose points are this near on average are one image twice. */
const copyLength = { mm: 0.05, px: 0.5 }
/** A comparison of all pairs beyond this would take minutes. */
const copyImages = 5000

function vector([x, y]: Point, unit: string): string {
  return `dx ${x.toFixed(1)}, dy ${y.toFixed(1)} ${unit}`
}

function meanOf(points: readonly Point[]): Point {
  const sum = (axis: 0 | 1) => points.reduce((total, point) => total + point[axis], 0)
  return [sum(0) / points.length, sum(1) / points.length]
}

/** Standard error of the mean's length: that of both axes together. */
function errorOf(points: readonly Point[], [mx, my]: Point): number {
  const squares = points.reduce((sum, [x, y]) => sum + (x - mx) ** 2 + (y - my) ** 2, 0)
  return Math.sqrt(squares / (points.length - 1) / points.length)
}

/** Pairs of landmarks that fit better in each other's place. */
function swapped({ spread, median: places }: ShapeModel, residuals: readonly (Point | null)[]) {
  const found: [number, number][] = []
  const distances = residuals.map((residual, j) =>
    residual ? robustDistance(residual, spread[j] as Point) : 0,
  )
  /** Distance of landmark j's point from the place of k. */
  const moved = (j: number, k: number) => {
    const [residual, own, other] = [residuals[j] as Point, places[j] as Point, places[k] as Point]
    const away: Point = [residual[0] + own[0] - other[0], residual[1] + own[1] - other[1]]
    return robustDistance(away, spread[k] as Point)
  }
  for (let j = 0; j < residuals.length; j++)
    for (let k = j + 1; k < residuals.length; k++) {
      if (!residuals[j] || !residuals[k]) continue
      const [own, other] = [distances[j] as number, distances[k] as number]
      if (Math.min(own, other) < 4) continue
      const after = Math.max(moved(j, k), moved(k, j))
      if (after < 4 && after < Math.min(own, other) / 2) found.push([j, k])
    }
  return { found, distances }
}

function outlierFindings({ landmarkSet, unit }: PointSet, model: ShapeModel): Finding[] {
  const names = landmarkSet.landmarks.map(({ name }) => name)
  const typical = median(model.fitted.map(({ scale }) => scale))
  return model.fitted.flatMap(({ id, annotator, residuals, scale }) => {
    const who = { ids: [id], annotator }
    const size = scale / typical
    const { found, distances } = swapped(model, residuals)
    const exchanged = new Set(found.flat())
    const swaps = found.map(
      ([j, k]): Finding => ({
        kind: 'swapped landmarks',
        severity: 'problem',
        landmarks: [names[j] as string, names[k] as string],
        ...who,
        message: `Image ${id}, ${annotator}: ${names[j]} and ${names[k]} seem to be swapped; each lies where the other is expected.`,
      }),
    )
    const outliers = residuals.flatMap((residual, j): Finding[] => {
      const distance = distances[j] as number
      // Residuals are in the frame of the median shape; the length is told in the image's own.
      const length = residual ? scale * Math.hypot(...residual) : 0
      if (exchanged.has(j) || distance < outlierDistance || length < outlierLength[unit]) return []
      return [
        {
          kind: 'outlier',
          severity: 'problem',
          landmarks: [names[j] as string],
          ...who,
          message: `Image ${id}, ${annotator}: ${names[j]} lies ${length.toFixed(1)} ${unit} from where the other landmarks expect it (${distance.toFixed(0)} robust SDs).`,
        },
      ]
    })
    const sized: Finding[] =
      size < 0.6 || size > 1.7
        ? [
            {
              kind: 'implausible size',
              severity: 'problem',
              ...who,
              message: `Image ${id}, ${annotator}: the points span ${size.toFixed(2)} times the median size of the data set; its pixel size may be wrong.`,
            },
          ]
        : []
    return [...swaps, ...outliers, ...sized]
  })
}

/** For each image the offset of landmark j of one annotator from another's, by split. */
function differences(set: PointSet, first: string, second: string, j: number) {
  const other = new Map(
    set.shapes.filter(({ annotator }) => annotator === second).map((shape) => [shape.id, shape]),
  )
  return new Map(
    set.shapes
      .filter(({ annotator }) => annotator === first)
      .flatMap(({ id, points }): [string, Point][] => {
        const [a, b] = [points[j], other.get(id)?.points[j]]
        return a && b ? [[id, [a[0] - b[0], a[1] - b[1]]]] : []
      }),
  )
}

function splitsOf({ splits, shapes }: PointSet): [string, ReadonlySet<string>][] {
  const known = [...splits].map(([name, ids]): [string, ReadonlySet<string>] => [
    name,
    new Set(ids),
  ])
  const filled = known.filter(([, ids]) => shapes.some(({ id }) => ids.has(id)))
  return filled.length > 0 ? filled : [['all images', new Set(shapes.map(({ id }) => id))]]
}

interface SplitMean {
  readonly split: string
  readonly mean: Point
  readonly error: number
}

/** The mean of a landmark's offsets in each split that has enough of them. */
function meansBySplit(
  offsets: ReadonlyMap<string, Point>,
  splits: readonly [string, ReadonlySet<string>][],
): SplitMean[] {
  return splits.flatMap(([split, ids]) => {
    const points = [...offsets].filter(([id]) => ids.has(id)).map(([, point]) => point)
    if (points.length < 8) return []
    const mean = meanOf(points)
    return [{ split, mean, error: errorOf(points, mean) }]
  })
}

/** Each split against the first, where their means differ by more than chance and by enough to matter. */
function shiftsOf(means: readonly SplitMean[], unit: PointSet['unit']) {
  const [reference, ...rest] = means
  if (!reference) return []
  return rest.flatMap(({ split, mean, error }) => {
    const shift: Point = [mean[0] - reference.mean[0], mean[1] - reference.mean[1]]
    const length = Math.hypot(...shift)
    const chance = Math.hypot(error, reference.error)
    return length > conventionLength[unit] && length > conventionErrors * chance
      ? [{ split, from: reference.split, shift, length }]
      : []
  })
}

/** Where a landmark of one annotator lies relative to the other landmarks, by image. */
function ownPlaces(model: ShapeModel, annotator: string, j: number): Map<string, Point> {
  return new Map(
    model.fitted
      .filter((shape) => shape.annotator === annotator)
      .flatMap(({ id, residuals }): [string, Point][] => {
        const residual = residuals[j]
        return residual ? [[id, residual]] : []
      }),
  )
}

/**
 * Conventions: two annotators who differ on average, and one whose way of marking a landmark
 * changes from split to split. With two annotators a change is one of their difference, in which
 * differences between the patients of two splits cancel; the one who moved relative to the other
 * landmarks is named.
 */
function conventionFindings(set: PointSet, model: ShapeModel | null): Finding[] {
  const { unit, landmarkSet } = set
  const annotators = [...new Set(set.shapes.map(({ annotator }) => annotator))]
  const [first, second] = annotators
  const splits = splitsOf(set)
  return landmarkSet.landmarks.flatMap(({ name, label }, j) => {
    const landmarks = [name]
    const title = label === name ? name : `${name} (${label})`
    const ownShifts = (annotator: string) =>
      model ? shiftsOf(meansBySplit(ownPlaces(model, annotator, j), splits), unit) : []
    if (first === undefined) return []
    if (second === undefined)
      return ownShifts(first).map(
        ({ split, from, shift, length }): Finding => ({
          kind: 'shifted convention',
          severity: 'problem',
          landmarks,
          split,
          annotator: first,
          message: `${title} of ${first} lies ${length.toFixed(1)} ${unit} elsewhere in ${split} than in ${from}, relative to the other landmarks (${vector(shift, unit)}): another convention.`,
        }),
      )
    const means = meansBySplit(differences(set, first, second, j), splits)
    const apart = means
      .filter(({ mean, error }) => {
        const length = Math.hypot(...mean)
        return length > conventionLength[unit] && length > conventionErrors * error
      })
      .map(
        ({ split, mean }): Finding => ({
          kind: 'annotators differ',
          severity: 'note',
          landmarks,
          split,
          message: `${title}: ${first} and ${second} mark it ${Math.hypot(...mean).toFixed(1)} ${unit} apart on average in ${split} (${first} minus ${second}: ${vector(mean, unit)}).`,
        }),
      )
    const shifted = shiftsOf(means, unit).map(({ split, from, shift, length }): Finding => {
      const moved = [first, second]
        .map((annotator) => ({
          annotator,
          own: ownShifts(annotator).find((own) => own.split === split && own.from === from),
        }))
        .sort((a, b) => (b.own?.length ?? 0) - (a.own?.length ?? 0))[0]
      const who = moved?.own ? moved.annotator : null
      const words = moved?.own
        ? `${moved.annotator} marks it ${moved.own.length.toFixed(1)} ${unit} elsewhere, relative to the other landmarks, than in ${from} (${vector(moved.own.shift, unit)})`
        : 'the points do not tell which of the two changed'
      return {
        kind: 'shifted convention',
        severity: 'problem',
        landmarks,
        split,
        ...(who !== null && { annotator: who }),
        message: `${title}: the convention changes in ${split}. ${first} minus ${second} moves by ${length.toFixed(1)} ${unit} from ${from} to ${split} (${vector(shift, unit)}); ${words}.`,
      }
    })
    return [...shifted, ...apart]
  })
}

/** Single points on which two annotators differ far more than they do on other images. */
function disagreements(set: PointSet): Finding[] {
  const { unit, landmarkSet, shapes } = set
  const [first, second] = [...new Set(shapes.map(({ annotator }) => annotator))]
  if (first === undefined || second === undefined) return []
  return landmarkSet.landmarks.flatMap(({ name }, j) => {
    const offsets = [...differences(set, first, second, j)]
    if (offsets.length < 8) return []
    const centre = medianPoint(offsets.map(([, offset]) => offset))
    const away = offsets.map(([id, [x, y]]) => ({
      id,
      length: Math.hypot(x, y),
      distance: Math.hypot(x - centre[0], y - centre[1]),
    }))
    const usual = median(away.map(({ distance }) => distance))
    return away
      .filter(
        ({ distance }) => distance > 2 * outlierLength[unit] && distance > outlierDistance * usual,
      )
      .map(
        ({ id, length }): Finding => ({
          kind: 'outlier',
          severity: 'problem',
          ids: [id],
          landmarks: [name],
          message: `Image ${id}: ${first} and ${second} mark ${name} ${length.toFixed(1)} ${unit} apart, far more than on other images: one of the two is wrong.`,
        }),
      )
  })
}

/** Known lengths of the landmark set against what heads have. */
function scaleFindings({ landmarkSet, unit, shapes }: PointSet): Finding[] {
  if (unit === 'px') return []
  const names = landmarkSet.landmarks.map(({ name }) => name)
  return (landmarkSet.lengths ?? []).flatMap(({ between: [from, to], plausible: [low, high] }) => {
    const lengths = shapes.flatMap(({ id, points }) => {
      const [a, b] = [points[names.indexOf(from)], points[names.indexOf(to)]]
      return a && b ? [{ id, length: Math.hypot(a[0] - b[0], a[1] - b[1]) }] : []
    })
    if (lengths.length === 0) return []
    const typical = median(lengths.map(({ length }) => length))
    if (typical < low || typical > high)
      return [
        {
          kind: 'implausible spacing',
          severity: 'problem',
          landmarks: [from, to],
          message: `${from}-${to} is ${typical.toFixed(1)} mm in the median image, where ${low} to ${high} mm are plausible: the pixel size of the data set seems to be wrong, or its points are those of resized images.`,
        } satisfies Finding,
      ]
    const single = lengths.filter(({ length }) => length < 0.8 * low || length > 1.2 * high)
    return [...new Set(single.map(({ id }) => id))].map((id): Finding => {
      const { length = Number.NaN } = single.find((each) => each.id === id) ?? {}
      return {
        kind: 'implausible spacing',
        severity: 'problem',
        ids: [id],
        landmarks: [from, to],
        message: `Image ${id}: ${from}-${to} is ${length.toFixed(1)} mm, where the median is ${typical.toFixed(1)} mm: its pixel size or its points may be wrong.`,
      }
    })
  })
}

/** Mean distance of two shapes; Infinity where they share no point. Stops early when it is too long to matter. */
function meanDistance(a: Shape, b: Shape, limit: number): number {
  let [sum, count] = [0, 0]
  for (const [j, point] of a.points.entries()) {
    const other = b.points[j]
    if (!point || !other) continue
    sum += Math.hypot(point[0] - other[0], point[1] - other[1])
    count++
    if (sum > limit * a.points.length) return Number.POSITIVE_INFINITY
  }
  return count === 0 ? Number.POSITIVE_INFINITY : sum / count
}

function copyFindings({ shapes, unit }: PointSet): Finding[] {
  const limit = copyLength[unit]
  const findings: Finding[] = []
  const byAnnotator = new Map<string, Shape[]>()
  for (const shape of shapes)
    byAnnotator.set(shape.annotator, [...(byAnnotator.get(shape.annotator) ?? []), shape])
  for (const [annotator, own] of byAnnotator) {
    if (own.length > copyImages) continue
    for (const [i, shape] of own.entries())
      for (const other of own.slice(i + 1))
        if (meanDistance(shape, other, limit) <= limit)
          findings.push({
            kind: 'duplicate annotation',
            severity: 'problem',
            ids: [shape.id, other.id],
            annotator,
            message: `Images ${shape.id} and ${other.id} have the same points by ${annotator}: one is a copy of the other.`,
          })
  }
  const [first, second] = [...byAnnotator.values()]
  const others = new Map((second ?? []).map((shape) => [shape.id, shape]))
  for (const shape of first ?? []) {
    const other = others.get(shape.id)
    if (other && meanDistance(shape, other, 0) === 0)
      findings.push({
        kind: 'duplicate annotation',
        severity: 'problem',
        ids: [shape.id],
        message: `Image ${shape.id}: the points of ${shape.annotator} and ${other.annotator} are identical: one was copied.`,
      })
  }
  return findings
}

/** Everything that the points alone tell. */
export function checkPoints(set: PointSet): Finding[] {
  const model = fitShapes(set.shapes)
  const outliers = model ? outlierFindings(set, model) : []
  const place = (id: string, landmark: string) => JSON.stringify([id, landmark])
  const told = new Set(
    outliers.flatMap(({ ids = [], landmarks = [] }) =>
      ids.flatMap((id) => landmarks.map((landmark) => place(id, landmark))),
    ),
  )
  return [
    ...conventionFindings(set, model),
    ...scaleFindings(set),
    ...outliers,
    // A point that lies out of its shape also disagrees with the other annotator's: once is enough.
    ...disagreements(set).filter(
      ({ ids: [id = ''] = [], landmarks: [landmark = ''] = [] }) => !told.has(place(id, landmark)),
    ),
    ...copyFindings(set),
  ]
}
