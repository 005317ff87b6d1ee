/** What a report is made of: the scores, the parts of the evaluation, and the images with what is known of each. */

import type { ClinicalResult } from '../clinical/evaluate.js'
import type { EvaluationResult } from '../evaluate.js'
import type { ErrorTable } from '../metrics.js'
import type { AnnotatorMetrics } from '../parts/annotators.js'
import type { Bias } from '../parts/bias.js'
import type { Distribution } from '../parts/distribution.js'
import type { PartResult } from '../parts/part.js'
import type { TruthRow } from '../parts/truths.js'
import type { WorstPoint } from '../parts/worst.js'
import type { Point, PredictedImage } from '../predictions.js'
import type { PublishedFigures } from '../published.js'
import type { Reference } from '../references.js'
import type { Covariance } from '../uncertainty/covariance.js'
import type { UncertaintyResult } from '../uncertainty/result.js'
import type { Crop, Picture } from './pictures.js'

/** What is known of the scores; absent when there are no annotations. */
export interface Scores {
  readonly result: EvaluationResult
  readonly errors: ErrorTable
  readonly references: readonly Reference[]
}

/** What each part of an evaluation answers, by its key. */
export interface PartValues {
  published: ({ method: string; source: string } & PublishedFigures)[]
  truths: TruthRow[]
  clinical: ClinicalResult & { human: (ClinicalResult & { name: string }) | null }
  annotators: AnnotatorMetrics
  distribution: Distribution
  bias: Bias[]
  worst: WorstPoint[]
  uncertainty: UncertaintyResult
}

/** The parts that exist. `PartResult.value` is only known to be an object, because a new part needs no change of the others. */
export function partValues(parts: ReadonlyMap<string, PartResult>): Partial<PartValues> {
  return Object.fromEntries([...parts].map(([key, { value }]) => [key, value]))
}

/** One image; the lists follow the landmarks of the report, null where there is nothing to draw. Points are in pixels of the original. */
export interface Case {
  readonly image: PredictedImage
  readonly picture: Picture
  /** The picture in the pixels of the original; null where only the smaller one is embedded. */
  readonly original: string | null
  /** Heatmaps of all landmarks together, with the transparency of what is cold. */
  readonly heat: Layer | null
  /** The same of a few steps of the first chain, from noise on. */
  readonly film: readonly FilmLayer[]
  readonly landmarks: readonly string[]
  readonly predicted: readonly (Point | null)[]
  readonly truth: readonly (Point | null)[] | null
  readonly junior: readonly (Point | null)[] | null
  readonly senior: readonly (Point | null)[] | null
  /** [M][N] */
  readonly chains: readonly (readonly (Point | null)[])[]
  /** Centre and covariance, in square pixels of the original. */
  readonly spreads: readonly (Spread | null)[]
  /** Expected radial errors in mm; NaN: not known. */
  readonly expected: readonly number[]
  /** Radial errors in mm; NaN: not annotated, Infinity: not found. Null without annotations. */
  readonly errors: readonly number[] | null
  /** [x, y] in mm per pixel, or null. */
  readonly scale: readonly [number, number] | null
}

export interface Spread {
  readonly centre: Point
  readonly covariance: Covariance
}

/** A picture that lies on the image: its place in pixels of the original. */
export interface Layer {
  readonly uri: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface FilmLayer {
  readonly t: number
  readonly layer: Layer
}

/** One of the largest errors, at the original resolution. */
export interface Zoom {
  readonly shown: Case
  /** Place in the list of landmarks. */
  readonly landmark: number
  /** mm; null: not found. */
  readonly error: number | null
  readonly crop: Crop
}

export interface ReportContent {
  readonly title: string
  /** The predictions file's name. */
  readonly source: string
  /** What the file says of the model that made it: run, steps, chains, seed. */
  readonly model: Readonly<Record<string, unknown>> | null
  readonly created: Date
  readonly landmarks: readonly string[]
  /** Full names of landmarks by short name. */
  readonly labels: ReadonlyMap<string, string>
  readonly scores: Scores | null
  readonly parts: Partial<PartValues>
  /** In the order of showing: worst first where there are scores. */
  readonly cases: readonly Case[]
  readonly zooms: readonly Zoom[]
  /** How many images the predictions file has, or how many are scored. */
  readonly imageCount: number
  /** The true mean shape with the errors around it, in mm; null without annotations. */
  readonly shape: readonly LandmarkCloud[] | null
  /** Why a film strip or a heatmap that was promised cannot be shown. */
  readonly remarks: readonly string[]
}

/** Mean place of a landmark in the images, and the mean and the covariance of the errors there; in mm, x right, y down. */
export interface LandmarkCloud {
  readonly name: string
  readonly place: Point
  readonly bias: Point
  readonly covariance: Covariance
}
