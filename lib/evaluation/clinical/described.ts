/** Measures of any landmark set, as its landmark file describes them: angles, distances and ratios, with classes around a normal range. */

import type { MeasureDescription, Segment } from '../../landmarks/landmark-file.js'
import type { Point } from '../predictions.js'
import { angle, type Direction, distance } from './geometry.js'
import { type Measure, rangeClasses } from './measure.js'

/** The points of the named landmarks. */
type Place = (name: string) => Point

/** What a description measures: its unit, the landmarks in it, and its value where these are. */
function quantity({ angle: directions, distance: length, ratio }: MeasureDescription): {
  unit: Measure['unit']
  segments: readonly Segment[]
  value: (place: Place) => number
} {
  const ends = (place: Place, [from, to]: Segment): Direction => [place(from), place(to)]
  const size = (place: Place, segment: Segment) => distance(...ends(place, segment))
  if (directions) {
    const [first, second] = directions
    return {
      unit: '°',
      segments: directions,
      value: (place) => angle(ends(place, first), ends(place, second)),
    }
  }
  if (ratio) {
    const [first, second] = ratio
    return {
      unit: '',
      segments: ratio,
      value: (place) => size(place, first) / size(place, second),
    }
  }
  if (length) return { unit: 'mm', segments: [length], value: (place) => size(place, length) }
  throw new RangeError('a measure that is neither an angle, nor a distance, nor a ratio')
}

const plainNames = { below: 'below normal', within: 'normal', above: 'above normal' }

/** A measure without a normal range has no classes, so no success rate. */
function describedMeasure(description: MeasureDescription): Measure {
  const { name, label = name, normal, classes = plainNames } = description
  const { unit, segments, value } = quantity(description)
  const landmarks = [...new Set(segments.flat())]
  return {
    name,
    label,
    unit,
    landmarks,
    value: (points) => value((landmark) => points[landmarks.indexOf(landmark)] as Point),
    classes: normal
      ? rangeClasses(normal, {
          below: [classes.below, 2],
          within: [classes.within, 1],
          above: [classes.above, 3],
        })
      : [],
  }
}

/** The measures of a landmark file, for `evaluateClinical`. */
export function describedMeasures(descriptions: readonly MeasureDescription[]): Measure[] {
  return descriptions.map(describedMeasure)
}
