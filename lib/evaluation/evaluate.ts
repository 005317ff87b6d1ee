/** Predictions against annotations: the evaluation result of the public interface. Knows no model, no image and no file. */

import { LandmarkDiffusionError } from '../errors.js'
import {
  type Annotations,
  combinedTruths,
  landmarkMatch,
  type Pairing,
  radialErrors,
} from './errors.js'
import {
  annotatedErrors,
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
import {
  type BootstrapOptions,
  bootstrapIntervals,
  mean,
  populationSd,
  quantile,
} from './statistics/index.js'

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
  p90: number
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
  p90: number
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
  /** Landmarks that only one side has: they are not scored. */
  unmatched: { predictions: readonly string[]; annotations: readonly string[] }
}

export interface EvaluateOptions extends Pairing {
  /** Name of the split, for the result; 'all' by default. */
  split?: string
  convention?: Convention
  bootstrap?: BootstrapOptions
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
    p90: quantile(found, 0.9),
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
): Omit<EvaluationResult, 'split' | 'truth' | 'unpredicted' | 'excluded' | 'unmatched'> {
  const rates = drawableRates(table, convention)
  const [mre = Number.NaN, ...sdr] = rates(table.ids.map(() => 1))
  const [mreInterval, ...sdrIntervals] = bootstrapIntervals(table.ids.length, rates, bootstrap)
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
    ...spread(annotatedErrors(table)),
    perLandmark: table.landmarks.map((name, j) =>
      landmarkResult(name, errorsOfLandmark(table, j), convention),
    ),
    perImage: table.ids.map((_, i) => imageResult(table, i)),
  }
}

/** Images that have any point of the truth. */
function annotatedIds({ annotations, annotators = new Map(), truth }: Pairing): Set<string> {
  const combined = combinedTruths.some((name) => name === truth)
  const sources: Annotations[] = combined ? [...annotators.values()] : [annotations]
  return new Set(sources.flatMap((source) => [...source.keys()]))
}

/**
 * Scores predictions. Images that are both predicted and annotated count; within them a pair without annotation is left
 * out, and an annotated landmark that the prediction did not find is a miss.
 * @throws ERR_DATA when nothing can be scored, when no landmark is common, or when a pixel size is unknown or contradicted
 */
export function evaluate(options: EvaluateOptions): EvaluationResult {
  const {
    predictions,
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
  const match = landmarkMatch(options)
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
    unpredicted: [...annotatedIds(options)].filter((id) => !scored.has(id)),
    excluded: [...exclude],
    unmatched: {
      predictions: match.onlyFirst,
      annotations: match.onlySecond,
    },
  }
}
