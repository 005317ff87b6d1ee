/** Predictions against annotations: the evaluation result of the public interface. Knows no model, no image and no file. */

import { LandmarkDiffusionError } from '../errors.js'
import {
  type Convention,
  drawableRates,
  type ErrorTable,
  errorsOfImage,
  errorsOfLandmark,
  isWithin,
  outlierThreshold,
  standardDeviation,
  thresholds,
} from './metrics.js'
import type { Point, PredictionsFile } from './predictions.js'
import {
  type BootstrapOptions,
  bootstrapIntervals,
  mean,
  populationSd,
  quantile,
} from './statistics.js'

/** Points by image id, in original pixels; null where a landmark is not annotated. */
export type Annotations = ReadonlyMap<string, readonly (Point | null)[]>

/** Success detection rates in percent, by threshold in mm. */
export type DetectionRates = Record<'2' | '2.5' | '3' | '4', number>

/** Percent of the annotated points within each threshold, with its 95 % interval. */
export type DetectionIntervals = Record<'2' | '2.5' | '3' | '4', [number, number]>

export interface LandmarkResult {
  name: string
  /** Annotated points. */
  points: number
  /** Of these, not found by the prediction. */
  missing: number
  mre: number
  sd: number
  median: number
  p95: number
  max: number
  over10mm: number
  sdr: DetectionRates
}

export interface ImageResult {
  id: string
  points: number
  missing: number
  mre: number
  max: number
  /** The landmark with the largest error; one that was not found goes before all others; null without any annotation. */
  worst: string | null
}

/** Lengths are in mm. A figure that does not exist (the mean of nothing) is NaN, which JSON writes as null. */
export interface EvaluationResult {
  split: string
  truth: string
  convention: Convention
  /** Images that are both predicted and annotated. */
  images: number
  /** Annotated points of these images; each is either found or missing. */
  points: number
  /** Annotated points that the prediction did not find: misses in the SDR, absent from all other figures. */
  missing: number
  mre: { mean: number; sd: number; ci95: [number, number] }
  sdr: DetectionRates
  sdrCi95: DetectionIntervals
  median: number
  p95: number
  max: number
  /** Number of found points with an error over 10 mm. */
  over10mm: number
  perLandmark: LandmarkResult[]
  perImage: ImageResult[]
  /** Annotated images without a prediction: they are not scored. */
  unpredicted: string[]
  /** Landmarks that were left out on demand. */
  excluded: string[]
}

export interface EvaluateOptions {
  predictions: PredictionsFile
  /** Annotations of the images to score; predicted images without one are left out. */
  annotations: Annotations
  /** Names of the annotated landmarks in their order; those of the predictions file by default. */
  landmarks?: readonly string[]
  /** Name of the split, for the result; 'all' by default. */
  split?: string
  /** Name of the truth, for the result; 'mean' by default. */
  truth?: string
  convention?: Convention
  /** Landmarks to leave out, by name. */
  exclude?: readonly string[]
  /** [x, y] in mm per pixel for images whose pixel size the predictions file does not know. */
  pixelSize?: readonly [number, number]
  bootstrap?: BootstrapOptions
}

/** `ANS, PNS and 3 more`: names for a message. */
function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ')
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown
}

/** For each landmark to score: its name, its column in the predictions and its column in the annotations. */
function matchLandmarks(
  predicted: readonly string[],
  annotated: readonly string[],
  exclude: readonly string[],
): { name: string; predictedAt: number; annotatedAt: number }[] {
  const unknown = predicted.filter((name) => !annotated.includes(name))
  const absent = annotated.filter((name) => !predicted.includes(name))
  if (unknown.length > 0 || absent.length > 0) {
    const parts = [
      unknown.length > 0 ? `the annotations have no ${shortList(unknown)}` : '',
      absent.length > 0 ? `the predictions have no ${shortList(absent)}` : '',
    ]
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The predictions and the annotations name different landmarks: ${parts.filter(Boolean).join('; ')}. Evaluate them against annotations of the same landmark set.`,
    )
  }
  const mistaken = exclude.filter((name) => !annotated.includes(name))
  if (mistaken.length > 0) {
    throw new LandmarkDiffusionError(
      'ERR_USAGE',
      `There is no landmark ${shortList(mistaken)} to exclude; the landmarks are ${annotated.join(', ')}.`,
    )
  }
  return annotated
    .map((name, annotatedAt) => ({ name, annotatedAt, predictedAt: predicted.indexOf(name) }))
    .filter(({ name }) => !exclude.includes(name))
}

/** The radial errors in mm, in original image coordinates and with each image's own pixel size on each axis. @throws ERR_DATA */
export function radialErrors({
  predictions,
  annotations,
  landmarks = predictions.landmarks,
  exclude = [],
  pixelSize,
}: EvaluateOptions): ErrorTable {
  const columns = matchLandmarks(predictions.landmarks, landmarks, exclude)
  const scored = predictions.images.filter(({ id }) => annotations.has(id))
  const values = new Float64Array(scored.length * columns.length)
  for (const [i, image] of scored.entries()) {
    const scale = image.pixelSize ?? pixelSize
    if (scale === undefined) {
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `The pixel size of image '${image.id}' is unknown, so its errors cannot be given in mm. Give --pixel-size MM, or predict again with it.`,
      )
    }
    const truth = annotations.get(image.id) ?? []
    if (truth.length !== landmarks.length) {
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `The annotation of image '${image.id}' has ${truth.length} points where ${landmarks.length} landmarks were expected. Check its file.`,
      )
    }
    for (const [j, { predictedAt, annotatedAt }] of columns.entries()) {
      const wanted = truth[annotatedAt]
      const found = image.points[predictedAt]
      values[i * columns.length + j] = !wanted
        ? Number.NaN
        : !found
          ? Number.POSITIVE_INFINITY
          : Math.hypot(scale[0] * (found[0] - wanted[0]), scale[1] * (found[1] - wanted[1]))
    }
  }
  return { ids: scored.map(({ id }) => id), landmarks: columns.map(({ name }) => name), values }
}

function byThreshold<T>(values: readonly T[]): Record<'2' | '2.5' | '3' | '4', T> {
  return Object.fromEntries(
    thresholds.map((threshold, t) => [String(threshold), values[t]]),
  ) as Record<'2' | '2.5' | '3' | '4', T>
}

/** What is said of any set of errors (unannotated pairs already left out). */
function spread(errors: readonly number[]) {
  const found = errors.filter(Number.isFinite).sort((a, b) => a - b)
  return {
    points: errors.length,
    missing: errors.length - found.length,
    median: quantile(found, 0.5),
    p95: quantile(found, 0.95),
    max: found.at(-1) ?? Number.NaN,
    over10mm: found.filter((error) => error > outlierThreshold).length,
  }
}

function landmarkResult(
  name: string,
  errors: readonly number[],
  convention: Convention,
): LandmarkResult {
  const found = errors.filter(Number.isFinite)
  const rate = (threshold: number) =>
    (100 * errors.filter((error) => isWithin(error, threshold, convention)).length) / errors.length
  return {
    name,
    mre: mean(found),
    sd: populationSd(found),
    sdr: byThreshold(thresholds.map(rate)),
    ...spread(errors),
  }
}

function imageResult(table: ErrorTable, image: number): ImageResult {
  const errors = errorsOfImage(table, image)
  const columns = table.landmarks.length
  const row = table.values.subarray(image * columns, (image + 1) * columns)
  let worst = -1
  for (const [j, error] of row.entries()) {
    if (!Number.isNaN(error) && (worst < 0 || error > (row[worst] as number))) worst = j
  }
  const { points, missing, max } = spread(errors)
  return {
    id: table.ids[image] as string,
    points,
    missing,
    mre: mean(errors.filter(Number.isFinite)),
    max,
    worst: table.landmarks[worst] ?? null,
  }
}

/** The figures of an error table under a convention. */
export function summarize(
  table: ErrorTable,
  convention: Convention,
  bootstrap?: BootstrapOptions,
): Omit<EvaluationResult, 'split' | 'truth' | 'unpredicted' | 'excluded'> {
  const rates = drawableRates(table, convention)
  const [mre = Number.NaN, ...sdr] = rates(table.ids.map(() => 1))
  const [mreInterval, ...sdrIntervals] = bootstrapIntervals(table.ids.length, rates, bootstrap)
  const annotated = [...table.values].filter((error) => !Number.isNaN(error))
  return {
    convention,
    images: table.ids.length,
    mre: {
      mean: mre,
      sd: standardDeviation(table, convention),
      ci95: mreInterval ?? [Number.NaN, Number.NaN],
    },
    sdr: byThreshold(sdr),
    sdrCi95: byThreshold(sdrIntervals),
    ...spread(annotated),
    perLandmark: table.landmarks.map((name, j) =>
      landmarkResult(name, errorsOfLandmark(table, j), convention),
    ),
    perImage: table.ids.map((_, i) => imageResult(table, i)),
  }
}

/**
 * Scores predictions. Images that are both predicted and annotated count; within them a pair without annotation is left
 * out, and an annotated landmark that the prediction did not find is a miss.
 * @throws ERR_DATA when nothing can be scored, when landmark names differ, or when a pixel size is unknown
 */
export function evaluate(options: EvaluateOptions): EvaluationResult {
  const {
    predictions,
    annotations,
    split = 'all',
    truth = 'mean',
    convention = 'pooled',
    exclude = [],
    bootstrap,
  } = options
  const table = radialErrors(options)
  if (!table.values.some((error) => !Number.isNaN(error))) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `There is nothing to score in split '${split}': none of the ${predictions.images.length} predicted images has an annotated point of truth '${truth}'. Check the split, the ids and the annotations folder.`,
    )
  }
  const scored = new Set(table.ids)
  const { images, points, missing, mre, sdr, ...rest } = summarize(table, convention, bootstrap)
  return {
    split,
    truth,
    images,
    points,
    missing,
    mre,
    sdr,
    ...rest,
    unpredicted: [...annotations.keys()].filter((id) => !scored.has(id)),
    excluded: [...exclude],
  }
}
