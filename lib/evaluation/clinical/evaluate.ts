/**
 * Clinical evaluation (evaluation.md 2.5): each measure read off predicted and true points, how well the classes and the
 * values agree, and what sampled chains say about both.
 */

import { type Annotations, type Pairing, scaleOf } from '../errors.js'
import type { Point } from '../predictions.js'
import {
  type BlandAltman,
  type BootstrapOptions,
  blandAltman,
  bootstrapIntervals,
  cohenKappa,
  type Icc,
  intraclassCorrelation,
  mean,
} from '../statistics/index.js'
import { type ClinicalMode, cephalometricMeasures } from './cephalometry.js'
import {
  brierScore,
  classCalibrationError,
  type SampledMeasure,
  sampledMeasure,
} from './class-probabilities.js'
import { accuracy, type Confusion, confusionOf, meanRecall, recalls } from './confusion.js'
import { classOf, type Measure, type Reading, readerOf } from './measure.js'

/** One image's value of one measure, in the measure's unit. */
export interface MeasuredImage {
  id: string
  truth: number | null
  predicted: number | null
  /** Names of classes. */
  truthClass: string | null
  predictedClass: string | null
  /** Why a value does not exist, in words; null where both do. */
  reason: string | null
  /** Over the sampled chains; null without chains. */
  sampled: SampledMeasure | null
}

export interface ClassResult {
  name: string
  /** The number that the organisers' files give the class. */
  type: number
  /** Images of the class by truth and by prediction. */
  truth: number
  predicted: number
  /** Share of the truth's images that are predicted as this class, in percent. */
  recall: number
}

/** Agreement of the values, prediction less truth, in the measure's unit. */
export interface Agreement extends BlandAltman {
  /** Mean absolute difference. */
  mae: number
  /** Dahlberg's error of a single measurement: sqrt(sum d^2 / 2n). */
  dahlberg: number
  /** Percent of the differences within 2 degrees or 2 mm; null for a ratio. */
  within2: number | null
  /** ICC(2,1), absolute agreement. */
  icc21: Icc
  /** ICC(3,1), consistency. */
  icc31: Icc
}

/** What the chains say about the classes, over the images that have chains and a true class. */
export interface SampledResult {
  images: number
  /** Brier score over all classes, in [0, 2]. */
  brier: number
  /** Calibration error of the likeliest class in percent. */
  ece: number
  /** Percent of the true values within the chains' 95 % interval, and its mean width in the measure's unit. */
  coverage: number
  width: number
}

export interface MeasureResult {
  name: string
  label: string
  unit: Measure['unit']
  landmarks: readonly string[]
  /** Images with a true and a predicted value. */
  images: number
  /** Success classification rate in percent (mean recall of the classes), with its bootstrap interval over images. */
  scr: number
  scrCi95: [number, number]
  /** Percent of equal classes. */
  accuracy: number
  /** Cohen's kappa; weighted by the distance of the classes along the measure. */
  kappa: number
  kappaLinear: number
  kappaQuadratic: number
  /** In ascending order of the values: the order of the rows and columns of `confusion` and of probabilities. */
  classes: ClassResult[]
  /** Counts [truth][prediction]. */
  confusion: Confusion
  agreement: Agreement
  /** null without chains. */
  sampled: SampledResult | null
  perImage: MeasuredImage[]
}

/** A figure that does not exist (the recall of a class without images) is NaN, which JSON writes as null. */
export interface ClinicalResult {
  /** null for other measures than the eight of ISBI 2015. */
  mode: ClinicalMode | null
  /** Images that are both predicted and annotated. */
  images: number
  /** Mean of the measures' rates in percent, over those that have one. */
  scr: number
  scrCi95: [number, number]
  measures: MeasureResult[]
}

export interface ClinicalOptions extends Pairing {
  annotations: Annotations
  /** How the eight measures of ISBI 2015 are read; 'corrected' by default. */
  mode?: ClinicalMode
  /** Other measures instead of these eight. */
  measures?: readonly Measure[]
  bootstrap?: BootstrapOptions
}

interface Case {
  id: string
  truth: Reading
  predicted: Reading
  /** Values of the chains that have all points. */
  chains: number[]
}

/** Half a hair above 2, so that a difference of exactly 2 degrees or mm does not depend on the last bit. */
const withinBound = 2 + 1e-9

/** The organisers' scripts read whole pixels only. */
function wholePixels(points: readonly (Point | null)[]): (Point | null)[] {
  return points.map((point) => point && [Math.round(point[0]), Math.round(point[1])])
}

/** Reads one measure off every image that is both predicted and annotated. */
function readCases(
  measure: Measure,
  options: ClinicalOptions,
  mode: ClinicalResult['mode'],
): Case[] {
  const { predictions, annotations, landmarks = predictions.landmarks, exclude = [] } = options
  const predictedReader = readerOf(measure, predictions.landmarks, options.landmarkSet)
  const truthReader = readerOf(measure, landmarks, options.landmarkSet)
  const prepare = (points: readonly (Point | null)[]) =>
    mode === 'official' ? wholePixels(points) : points
  return predictions.images.flatMap((image): Case[] => {
    const marked = annotations.get(image.id)
    if (marked === undefined) return []
    const scale = scaleOf(image, options)
    const truth = marked.map((point, j) =>
      exclude.includes(landmarks[j] as string) ? null : point,
    )
    return [
      {
        id: image.id,
        truth: truthReader(prepare(truth), scale),
        predicted: predictedReader(prepare(image.points), scale),
        chains: (image.chains ?? []).flatMap(
          (points) => predictedReader(prepare(points), scale).value ?? [],
        ),
      },
    ]
  })
}

function agreementOf(measure: Measure, predicted: number[], truth: number[]): Agreement {
  const differences = predicted.map((value, i) => value - (truth[i] as number))
  const within = differences.filter((difference) => Math.abs(difference) <= withinBound)
  return {
    ...blandAltman(predicted, truth),
    mae: mean(differences.map(Math.abs)),
    dahlberg: Math.sqrt(mean(differences.map((difference) => difference ** 2)) / 2),
    within2: measure.unit === '' ? null : (100 * within.length) / differences.length,
    ...intraclassCorrelation(predicted.map((value, i) => [value, truth[i] as number])),
  }
}

function sampledResult(measure: Measure, images: readonly MeasuredImage[]): SampledResult | null {
  const known = images.flatMap(({ truth, sampled }) =>
    truth === null || sampled === null ? [] : { truth, ...sampled },
  )
  if (known.length === 0) return null
  const probabilities = known.map((image) => image.probabilities)
  const classes = known.map(({ truth }) => classOf(measure, truth))
  const covered = known.filter(({ truth, interval: [low, high] }) => low <= truth && truth <= high)
  return {
    images: known.length,
    ...(measure.classes.length === 0
      ? { brier: Number.NaN, ece: Number.NaN }
      : {
          brier: brierScore(probabilities, classes),
          ece: classCalibrationError(probabilities, classes),
        }),
    coverage: (100 * covered.length) / known.length,
    width: mean(known.map(({ interval: [low, high] }) => high - low)),
  }
}

function rateOf(measure: Measure, confusion: Confusion): number {
  return 100 * (measure.successRate ?? meanRecall)(confusion)
}

/** What can be said of one measure but for the interval of its rate. */
function measureResult(measure: Measure, cases: readonly Case[]) {
  const classIndex = ({ value }: Reading) => (value === null ? -1 : classOf(measure, value))
  const className = (reading: Reading) => measure.classes[classIndex(reading)]?.name ?? null
  const perImage = cases.map(
    ({ id, truth, predicted, chains }): MeasuredImage => ({
      id,
      truth: truth.value,
      predicted: predicted.value,
      truthClass: className(truth),
      predictedClass: className(predicted),
      reason:
        [
          truth.reason === null ? '' : `annotation: ${truth.reason}`,
          predicted.reason === null ? '' : `prediction: ${predicted.reason}`,
        ]
          .filter(Boolean)
          .join('; ') || null,
      sampled: chains.length === 0 ? null : sampledMeasure(measure, chains),
    }),
  )
  const truthClasses = cases.map(({ truth }) => classIndex(truth))
  const predictedClasses = cases.map(({ predicted }) => classIndex(predicted))
  const confusion = confusionOf(measure.classes.length, truthClasses, predictedClasses)
  const recall = recalls(confusion)
  const count = (row: readonly number[]) => row.reduce((total, times) => total + times, 0)
  const both = cases.flatMap(({ truth, predicted }) =>
    truth.value === null || predicted.value === null
      ? []
      : { truth: truth.value, predicted: predicted.value },
  )
  return {
    truthClasses,
    predictedClasses,
    result: {
      name: measure.name,
      label: measure.label,
      unit: measure.unit,
      landmarks: measure.landmarks,
      images: both.length,
      scr: rateOf(measure, confusion),
      accuracy: 100 * accuracy(confusion),
      kappa: cohenKappa(confusion),
      kappaLinear: cohenKappa(confusion, 'linear'),
      kappaQuadratic: cohenKappa(confusion, 'quadratic'),
      classes: measure.classes.map(({ name, type }, i) => ({
        name,
        type,
        truth: count(confusion[i] ?? []),
        predicted: count(confusion.map((row) => row[i] as number)),
        recall: 100 * (recall[i] as number),
      })),
      confusion,
      agreement: agreementOf(
        measure,
        both.map(({ predicted }) => predicted),
        both.map(({ truth }) => truth),
      ),
      sampled: sampledResult(measure, perImage),
      perImage,
    },
  }
}

/** Mean of the rates that exist. */
function overall(rates: readonly number[]): number {
  return mean(rates.filter((rate) => !Number.isNaN(rate)))
}

/**
 * Evaluates every measure on the images that are both predicted and annotated. A measure whose landmarks are absent, or
 * left out, has no value there, with the reason beside each image.
 * @throws ERR_DATA where a pixel size is unknown
 */
export function evaluateClinical(options: ClinicalOptions): ClinicalResult {
  const { measures: others, bootstrap } = options
  const mode = others ? null : (options.mode ?? 'corrected')
  const measures = others ?? cephalometricMeasures[mode ?? 'corrected']
  const evaluated = measures.map((measure) => ({
    measure,
    ...measureResult(measure, readCases(measure, options, mode)),
  }))
  const images = evaluated[0]?.truthClasses.length ?? 0
  const ratesOf = (drawn: Int32Array) => {
    const rates = evaluated.map(({ measure, truthClasses, predictedClasses }) =>
      rateOf(measure, confusionOf(measure.classes.length, truthClasses, predictedClasses, drawn)),
    )
    return [...rates, overall(rates)]
  }
  const intervals = bootstrapIntervals(images, ratesOf, bootstrap)
  const none: [number, number] = [Number.NaN, Number.NaN]
  return {
    mode,
    images,
    scr: overall(evaluated.map(({ result }) => result.scr)),
    scrCi95: intervals[measures.length] ?? none,
    measures: evaluated.map(({ result }, i) => ({ ...result, scrCi95: intervals[i] ?? none })),
  }
}
