/** A clinical measure: a number that is read off some landmarks of an image, and the classes that clinicians put it into (evaluation.md 2.5). */

import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { matchLandmarks } from '../../landmarks/match.js'
import type { Point } from '../predictions.js'
import type { Confusion } from './confusion.js'

export interface MeasureClass {
  readonly name: string
  /** The number that the organisers' files give the class. */
  readonly type: number
  readonly contains: (value: number) => boolean
}

export interface Measure {
  /** Abbreviation, for example `SNA`. */
  readonly name: string
  readonly label: string
  /** `°`, `mm`, or nothing for a ratio. */
  readonly unit: '°' | 'mm' | ''
  /** The landmarks that it needs, by abbreviation. */
  readonly landmarks: readonly string[]
  /** The value from these landmarks' points in mm (x right, y down); `pixels` are the same in image pixels. NaN where it is not defined. */
  readonly value: (points: readonly Point[], pixels: readonly Point[]) => number
  /** In ascending order of the values, which the weighted kappa reads; every value is in one of them. None for a measure without a normal range. */
  readonly classes: readonly MeasureClass[]
  /** Success rate in [0, 1] where it is not the mean recall of the classes. */
  readonly successRate?: (confusion: Confusion) => number
}

/** Three classes around a normal range; both bounds belong to it. */
export function rangeClasses(
  [low, high]: readonly [number, number],
  classes: Record<'below' | 'within' | 'above', readonly [name: string, type: number]>,
): MeasureClass[] {
  const make = (
    [name, type]: readonly [string, number],
    contains: MeasureClass['contains'],
  ): MeasureClass => ({ name, type, contains })
  return [
    make(classes.below, (value) => value < low),
    make(classes.within, (value) => value >= low && value <= high),
    make(classes.above, (value) => value > high),
  ]
}

/** Position of a value's class in `measure.classes`. */
export function classOf(measure: Measure, value: number): number {
  return measure.classes.findIndex(({ contains }) => contains(value))
}

/** A value, or null with the reason in words. */
export type Reading = { value: number; reason: null } | { value: null; reason: string }

/** Reads a measure off points in image pixels, where `landmarks` names the points and `scale` is [x, y] in mm per pixel. */
export type Reader = (
  points: readonly (Point | null)[],
  scale: readonly [number, number],
) => Reading

/** Binds a measure to a list of landmarks, whose names may be aliases, also of `set`, of those that the measure knows. */
export function readerOf(
  measure: Measure,
  landmarks: readonly string[],
  set?: LandmarkSet,
): Reader {
  const sets = set ? [set] : []
  const { common, onlySecond } = matchLandmarks(landmarks, measure.landmarks, sets)
  if (onlySecond.length > 0) {
    const reason = `the landmarks do not include ${onlySecond.join(', ')}`
    return () => ({ value: null, reason })
  }
  return (points, [sx, sy]) => {
    const pixels = common.map(({ first }) => points[first] ?? null)
    const missing = common.filter((_, i) => pixels[i] === null).map(({ name }) => name)
    if (missing.length > 0) return { value: null, reason: `no point for ${missing.join(', ')}` }
    const known = pixels as Point[]
    const value = measure.value(
      known.map(([x, y]) => [sx * x, sy * y]),
      known,
    )
    return Number.isFinite(value)
      ? { value, reason: null }
      : { value: null, reason: 'points coincide, so that a direction or a ratio does not exist' }
  }
}
