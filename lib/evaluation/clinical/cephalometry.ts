/**
 * The eight measures of the ISBI 2015 challenge, task 2 (Wang et al., Med. Image Anal. 2016, 31:63-76), as the organisers'
 * `angle.py` and `CM.m` define them (evaluation.md 2.5). The face looks right. Everything that only holds for cephalometry
 * stays in this file.
 */

import type { Point } from '../predictions.js'
import { mean } from '../statistics/index.js'
import { type Confusion, recalls, transpose } from './confusion.js'
import { angle, distance, signedAngle } from './geometry.js'
import { type Measure, type MeasureClass, rangeClasses } from './measure.js'

/**
 * `corrected` (default), or `official`: the organisers' scripts with their quirks, for figures that are to stand beside
 * published ones. `official` differs in this:
 *
 * - Points are rounded to whole pixels, since the scripts read integers only.
 * - MW between 0 and 2 mm, a small positive overjet, counts as anterior cross-bite (type 3); `corrected` has a class of
 *   its own for it, `reduced overjet`.
 * - The sign of MW compares the incisors' x as text: 998 counts as larger than 1002.
 * - A success rate averages the first three classes that occur on either side: with type 4 the large overjets are left
 *   out, and with fewer than three classes there is no rate. `corrected` averages over every class that the truth has.
 * - For FHI and FHA truth and prediction change places, so that these rates are precisions, the others recalls.
 */
export type ClinicalMode = 'corrected' | 'official'

export const clinicalModes: readonly ClinicalMode[] = ['corrected', 'official']

type Named<Name extends string> = Readonly<Record<Name, Point>>

/** A measure whose formula names its landmarks. */
function define<Name extends string>({
  value,
  ...measure
}: Omit<Measure, 'value' | 'landmarks'> & {
  landmarks: readonly Name[]
  value: (points: Named<Name>, pixels: Named<Name>) => number
}): Measure {
  const named = (points: readonly Point[]) =>
    Object.fromEntries(measure.landmarks.map((name, i) => [name, points[i]])) as Named<Name>
  return { ...measure, value: (points, pixels) => value(named(points), named(pixels)) }
}

/** Angle from the Frankfort horizontal to the palatal plane. */
function palatalAngle({ Po, Or, PNS, ANS }: Named<'Po' | 'Or' | 'PNS' | 'ANS'>): number {
  return signedAngle([Po, Or], [PNS, ANS])
}

const anglesAndRatios: readonly Measure[] = [
  define({
    name: 'ANB',
    label: 'sagittal relation of the jaws',
    unit: '°',
    landmarks: ['S', 'N', 'A', 'B'],
    value: ({ S, N, A, B }) => angle([N, S], [N, A]) - angle([N, S], [N, B]),
    classes: rangeClasses([3.2, 5.7], {
      below: ['class III', 3],
      within: ['class I', 1],
      above: ['class II', 2],
    }),
  }),
  define({
    name: 'SNB',
    label: 'position of the mandible',
    unit: '°',
    landmarks: ['S', 'N', 'B'],
    value: ({ S, N, B }) => angle([N, S], [N, B]),
    classes: rangeClasses([74.6, 78.7], {
      below: ['retrognathic mandible', 2],
      within: ['normal mandible', 1],
      above: ['prognathic mandible', 3],
    }),
  }),
  define({
    name: 'SNA',
    label: 'position of the maxilla',
    unit: '°',
    landmarks: ['S', 'N', 'A'],
    value: ({ S, N, A }) => angle([N, S], [N, A]),
    classes: rangeClasses([79.4, 83.2], {
      below: ['retrognathic maxilla', 3],
      within: ['normal maxilla', 1],
      above: ['prognathic maxilla', 2],
    }),
  }),
  define({
    name: 'ODI',
    label: 'overbite depth indicator',
    unit: '°',
    landmarks: ['Me', 'Go', 'B', 'A', 'Po', 'Or', 'PNS', 'ANS'],
    value: ({ Me, Go, B, A, ...palate }) => angle([Me, Go], [B, A]) + palatalAngle(palate),
    classes: rangeClasses([68.4, 80.5], {
      below: ['open bite', 3],
      within: ['normal overbite', 1],
      above: ['deep bite', 2],
    }),
  }),
  define({
    name: 'APDI',
    label: 'anteroposterior dysplasia indicator',
    unit: '°',
    landmarks: ['N', 'Pog', 'A', 'B', 'Po', 'Or', 'PNS', 'ANS'],
    value: ({ N, Pog, A, B, ...palate }) =>
      angle([palate.Or, palate.Po], [N, Pog]) -
      signedAngle([N, Pog], [A, B]) +
      palatalAngle(palate),
    classes: rangeClasses([77.6, 85.2], {
      below: ['class II', 2],
      within: ['class I', 1],
      above: ['class III', 3],
    }),
  }),
  define({
    name: 'FHI',
    label: 'facial height index',
    unit: '',
    landmarks: ['S', 'Go', 'N', 'Me'],
    value: ({ S, Go, N, Me }) => distance(S, Go) / distance(N, Me),
    classes: rangeClasses([0.65, 0.75], {
      below: ['long face', 3],
      within: ['normal face', 1],
      above: ['short face', 2],
    }),
  }),
  define({
    name: 'FHA',
    label: 'angle of the mandible to S-N, called FMA by the organisers',
    unit: '°',
    landmarks: ['S', 'N', 'Go', 'Gn'],
    value: ({ S, N, Go, Gn }) => angle([S, N], [Go, Gn]),
    classes: rangeClasses([26.8, 31.4], {
      below: ['low angle', 3],
      within: ['normal angle', 1],
      above: ['high angle', 2],
    }),
  }),
]

const incisors = {
  name: 'MW',
  label: 'distance of the incisors, negative where the lower one is in front',
  unit: 'mm',
  landmarks: ['U1', 'L1'],
} as const

/** Types 2, 1 and 4 of MW, which both modes share. */
const overjet = {
  none: { name: 'edge to edge', type: 2, contains: (value) => value === 0 },
  normal: { name: 'normal overjet', type: 1, contains: (value) => value >= 2 && value <= 4.5 },
  large: { name: 'large overjet', type: 4, contains: (value) => value > 4.5 },
} satisfies Record<string, MeasureClass>

const corrected: readonly Measure[] = [
  ...anglesAndRatios,
  define({
    ...incisors,
    value: ({ U1, L1 }) => (U1[0] < L1[0] ? -1 : 1) * distance(U1, L1),
    classes: [
      { name: 'anterior cross-bite', type: 3, contains: (value) => value < 0 },
      overjet.none,
      { name: 'reduced overjet', type: 5, contains: (value) => value > 0 && value < 2 },
      overjet.normal,
      overjet.large,
    ],
  }),
]

/**
 * The organisers' diagonal average: over the first three types that occur on either side. NaN where there are fewer, and
 * where the truth has none of one of them, as in MATLAB.
 */
function officialRate(classes: readonly MeasureClass[]): (confusion: Confusion) => number {
  const byType = [...classes.entries()].sort(([, a], [, b]) => a.type - b.type).map(([i]) => i)
  return (confusion) => {
    const columns = transpose(confusion)
    const occurs = (i: number) => [confusion[i], columns[i]].some((counts) => counts?.some(Boolean))
    const first = byType.filter(occurs).slice(0, 3)
    const rates = recalls(confusion)
    return first.length < 3 ? Number.NaN : mean(first.map((i) => rates[i] as number))
  }
}

const official: readonly Measure[] = [
  ...anglesAndRatios,
  define({
    ...incisors,
    value: ({ U1, L1 }, pixels) =>
      (String(pixels.U1[0]) < String(pixels.L1[0]) ? -1 : 1) * distance(U1, L1),
    classes: [
      {
        name: 'anterior cross-bite',
        type: 3,
        contains: (value) => value < 2 && value !== 0,
      },
      overjet.none,
      overjet.normal,
      overjet.large,
    ],
  }),
].map((measure) => {
  const rate = officialRate(measure.classes)
  const isSwapped = measure.name === 'FHI' || measure.name === 'FHA'
  return {
    ...measure,
    successRate: isSwapped ? (confusion: Confusion) => rate(transpose(confusion)) : rate,
  }
})

/** The eight measures in the organisers' order. */
export const cephalometricMeasures: Readonly<Record<ClinicalMode, readonly Measure[]>> = {
  corrected,
  official,
}

/**
 * Success rates in percent of the junior scored against the senior on ISBI 2015, in corrected mode but with the four
 * classes of MW (evaluation.md 2.5): what a second doctor reaches, for data that has only one.
 */
export const isbiHumanRates: Readonly<Record<string, readonly number[]>> = {
  'ISBI 2015 doctors, Test 1': [68.5, 77.5, 69.3, 78.2, 81.3, 64.8, 74.1, 89.0],
  'ISBI 2015 doctors, Test 2': [89.2, 79.5, 70.7, 68.3, 88.8, 77.8, 70.2, 91.1],
}
