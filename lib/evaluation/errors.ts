/** Pairs predicted with annotated points and measures between them in mm: the errors of evaluation.md 2.2, and the truths they can be measured from. */

import { LandmarkDiffusionError } from '../errors.js'
import type { LandmarkSet } from '../landmarks/landmark-set.js'
import { type LandmarkMatch, matchLandmarks } from '../landmarks/match.js'
import type { ErrorTable } from './metrics.js'
import type { Point, PredictedImage, PredictionsFile } from './predictions.js'

/** Points by image id, in original pixels; null where a landmark is not annotated. */
export type Annotations = ReadonlyMap<string, readonly (Point | null)[]>

/**
 * Truths that depend on the prediction, made from several annotators' points:
 *
 * - `nearest`: for each point the annotator whose mark is nearer to the prediction. Points that not
 *   all annotators marked are left out.
 * - `either`: a point is within a threshold if it is within that of any annotator, so its error is
 *   the smallest over those who marked it. Where all marked all points the two are the same.
 */
export const combinedTruths = ['nearest', 'either'] as const

/** What is compared with what. */
export interface Pairing {
  predictions: PredictionsFile
  /** Annotations of the images to score; predicted images without one are left out. Not looked at for a combined truth. */
  annotations: Annotations
  /** Name of the truth; 'mean' by default. `nearest` and `either` measure from `annotators`. */
  truth?: string
  /** Each annotator's own points, by the annotator's name. */
  annotators?: ReadonlyMap<string, Annotations>
  /** Names of the annotated landmarks in their order; those of the predictions file by default. */
  landmarks?: readonly string[]
  /** The set that the landmarks belong to: its aliases count when names are compared. */
  landmarkSet?: LandmarkSet
  /** Landmarks to leave out, by name. */
  exclude?: readonly string[]
  /** [x, y] in mm per pixel for images whose pixel size is not known otherwise. */
  pixelSize?: readonly [number, number]
  /** Pixel sizes that the annotations know, by image id: they must agree with those of the predictions. */
  pixelSizes?: ReadonlyMap<string, readonly [number, number]>
}

/** Signed distances from truth to prediction in mm along the image's axes, laid out as in `ErrorTable`; NaN and Infinity likewise. */
export interface OffsetTable {
  readonly ids: readonly string[]
  readonly landmarks: readonly string[]
  readonly dx: Float64Array
  readonly dy: Float64Array
}

/** `ANS, PNS and 3 more`: names for a message. */
export function shortList(names: readonly string[]): string {
  const shown = names
    .slice(0, 5)
    .map((name) => name.slice(0, 60))
    .join(', ')
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown
}

/** The predicted (first) and annotated (second) landmarks that are the same. @throws ERR_DATA when there is none */
export function landmarkMatch({
  predictions,
  landmarks = predictions.landmarks,
  landmarkSet,
}: Pairing): LandmarkMatch {
  const match = matchLandmarks(predictions.landmarks, landmarks, landmarkSet ? [landmarkSet] : [])
  if (match.common.length === 0)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The predictions and the annotations have no landmark in common: the predictions have ${shortList(predictions.landmarks)}, the annotations ${shortList(landmarks)}. Evaluate them against annotations of the same landmarks, or describe the names in a landmark file.`,
    )
  return match
}

/** The pairs to score: those in common but for the excluded ones. @throws ERR_USAGE for an excluded name that nothing has */
export function scoredPairs(pairing: Pairing): LandmarkMatch['common'] {
  const { exclude = [] } = pairing
  const { common } = landmarkMatch(pairing)
  const mistaken = exclude.filter((name) => !common.some((pair) => pair.name === name))
  if (mistaken.length > 0)
    throw new LandmarkDiffusionError(
      'ERR_USAGE',
      `There is no landmark ${shortList(mistaken)} to exclude; the landmarks are ${common.map(({ name }) => name).join(', ')}.`,
    )
  return common.filter(({ name }) => !exclude.includes(name))
}

/** mm per pixel of an image on each axis. @throws ERR_DATA when nothing says it, or when two sources disagree */
export function scaleOf(image: PredictedImage, { pixelSize, pixelSizes }: Pairing) {
  const annotated = pixelSizes?.get(image.id)
  const predicted = image.pixelSize
  if (predicted && annotated && predicted.some((size, axis) => differs(size, annotated[axis] ?? 0)))
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The pixel size of image '${image.id}' is ${predicted.join(' x ')} mm in the predictions and ${annotated.join(' x ')} mm in the annotations. Correct the one that is wrong.`,
    )
  const scale = predicted ?? annotated ?? pixelSize
  if (scale === undefined)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The pixel size of image '${image.id}' is unknown, so its errors cannot be given in mm. Give --pixel-size MM, or predict again with it.`,
    )
  return scale
}

/** Pixel sizes are printed with few digits: half a per mille is a rounding, more is another detector. */
function differs(a: number, b: number): boolean {
  return Math.abs(a - b) > 5e-4 * Math.max(a, b)
}

/** The offsets in mm, in original image coordinates and with each image's own pixel size on each axis. @throws ERR_DATA */
export function offsets(pairing: Pairing): OffsetTable {
  const { predictions, annotations, landmarks = predictions.landmarks } = pairing
  const pairs = scoredPairs(pairing)
  const scored = predictions.images.filter(({ id }) => annotations.has(id))
  const dx = new Float64Array(scored.length * pairs.length)
  const dy = new Float64Array(dx.length)
  for (const [i, image] of scored.entries()) {
    const scale = scaleOf(image, pairing)
    const truth = annotations.get(image.id) ?? []
    if (truth.length !== landmarks.length)
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `The annotation of image '${image.id}' has ${truth.length} points where ${landmarks.length} landmarks were expected. Check its file.`,
      )
    for (const [j, { first, second }] of pairs.entries()) {
      const wanted = truth[second]
      const found = image.points[first]
      const at = i * pairs.length + j
      const absent = wanted ? Number.POSITIVE_INFINITY : Number.NaN
      dx[at] = wanted && found ? scale[0] * (found[0] - wanted[0]) : absent
      dy[at] = wanted && found ? scale[1] * (found[1] - wanted[1]) : absent
    }
  }
  return { ids: scored.map(({ id }) => id), landmarks: pairs.map(({ name }) => name), dx, dy }
}

/** The radial errors in mm from the truth that `pairing` names. @throws ERR_DATA */
export function radialErrors(pairing: Pairing): ErrorTable {
  const { truth, annotators = new Map() } = pairing
  if (truth === 'nearest' || truth === 'either') return combinedErrors(pairing, truth, annotators)
  const { ids, landmarks, dx, dy } = offsets(pairing)
  return { ids, landmarks, values: dx.map((x, i) => Math.hypot(x, dy[i] as number)) }
}

/** The smallest of the annotators' errors, as `combinedTruths` defines it. */
function combinedErrors(
  pairing: Pairing,
  truth: (typeof combinedTruths)[number],
  annotators: ReadonlyMap<string, Annotations>,
): ErrorTable {
  if (annotators.size < 2)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The truth '${truth}' needs the points of at least two annotators; there ${annotators.size === 1 ? 'is one' : 'are none'}. Choose another truth.`,
    )
  const perAnnotator = [...annotators.values()].map((annotations) =>
    radialErrors({ ...pairing, annotations, truth: 'one annotator' }),
  )
  const rows = perAnnotator.map(({ ids }) => new Map(ids.map((id, i) => [id, i])))
  const marked = (id: string) => rows.some((row) => row.has(id))
  const ids = pairing.predictions.images.map(({ id }) => id).filter(marked)
  const landmarks = perAnnotator[0]?.landmarks ?? []
  const values = new Float64Array(ids.length * landmarks.length)
  for (const [i, id] of ids.entries())
    for (let j = 0; j < landmarks.length; j++) {
      const errors = perAnnotator.map((table, a) => {
        const row = rows[a]?.get(id)
        return row === undefined ? Number.NaN : (table.values[row * landmarks.length + j] as number)
      })
      const usable = errors.filter((error) => !Number.isNaN(error))
      const complete = usable.length === errors.length
      values[i * landmarks.length + j] =
        usable.length > 0 && (complete || truth === 'either') ? Math.min(...usable) : Number.NaN
    }
  return { ids, landmarks, values }
}
