import { readFileSync } from 'node:fs'
import {
  type ClinicalMode,
  evaluateClinical,
  type Measure,
  type Point,
} from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from '../fixtures.js'

const reference = JSON.parse(
  readFileSync(new URL('../../fixtures/statistics.json', import.meta.url), 'utf8'),
)

/** A measure of one landmark: its x in mm, with a class for each whole number up to `count`. */
function levels(count: number): Measure {
  return {
    name: 'x',
    label: 'position',
    unit: 'mm',
    landmarks: ['P'],
    value: ([point]) => point?.[0] ?? Number.NaN,
    classes: Array.from({ length: count }, (_, k) => ({
      name: `level ${k}`,
      type: k + 1,
      contains: (value: number) => Math.round(value) === k,
    })),
  }
}

/** Points of many images with one landmark each at x. */
const images = (xs: readonly (number | null)[]) =>
  Object.fromEntries(xs.map((x, i) => [String(i + 1), [x === null ? null : ([x, 0] as Point)]]))

/** Scores x against x in mm, one landmark an image. */
function score(
  predicted: readonly (number | null)[],
  truth: readonly (number | null)[],
  count = 3,
) {
  return evaluateClinical({
    predictions: predictionsOf(images(predicted), ['P'], [1, 1]),
    annotations: annotationsOf(images(truth)),
    measures: [levels(count)],
    bootstrap: { resamples: 200 },
  })
}

/** The rate of one of the eight measures where the images have these values. */
function rate(
  name: 'FHI' | 'MW',
  truth: readonly number[],
  predicted: readonly number[],
  mode: ClinicalMode,
) {
  const landmarks = ['S', 'N', 'Me', 'Go', 'U1', 'L1']
  const points = (value: number): (Point | null)[] =>
    name === 'FHI'
      ? [[0, 0], [0, 0], [0, 1000], [0, 1000 * value], null, null]
      : [null, null, null, null, [500 + 10 * value, 0], [500, 0]]
  const all = (values: readonly number[]) =>
    Object.fromEntries(values.map((value, i) => [String(i), points(value)]))
  const { measures } = evaluateClinical({
    predictions: predictionsOf(all(predicted), landmarks),
    annotations: annotationsOf(all(truth)),
    mode,
    bootstrap: { resamples: 0 },
  })
  return measures.find((measure) => measure.name === name)?.scr
}

describe('clinical evaluation', () => {
  //                truth  0 0 0 0 1 1 2 2; predicted as 0 three times of four, 1 once of two, 2 twice of two
  const truth = [0, 0, 0, 0, 1, 1, 2, 2]
  const predicted = [0, 0, 0, 1, 1, 2, 2, 2]

  it('counts classes, and averages their recalls', () => {
    const [x] = score(predicted, truth).measures
    expect(x?.confusion).toEqual([
      [3, 1, 0],
      [0, 1, 1],
      [0, 0, 2],
    ])
    expect(x?.classes.map(({ truth: t, predicted: p, recall }) => [t, p, recall])).toEqual([
      [4, 3, 75],
      [2, 2, 50],
      [2, 3, 100],
    ])
    expect(x?.scr).toBeCloseTo(75, 12)
    expect(x?.accuracy).toBeCloseTo(75, 12)
    // By hand: chance agreement (4 * 3 + 2 * 2 + 2 * 3) / 64.
    expect(x?.kappa).toBeCloseTo((0.75 - 22 / 64) / (1 - 22 / 64), 12)
  })

  it('leaves a class that the truth does not have out of the rate', () => {
    const [x] = score([0, 0, 1, 2], [0, 0, 1, 1]).measures
    expect(x?.scr).toBeCloseTo(75, 12)
    expect(x?.classes[2]?.recall).toBeNaN()
  })

  it('says how far values agree', () => {
    const [x] = score([1, 2, 5, 4.5], [0, 2, 2, 2.5], 6).measures
    expect(x?.agreement.bias).toBeCloseTo(1.5, 12)
    expect(x?.agreement.mae).toBeCloseTo(1.5, 12)
    // Differences 1, 0, 3, 2: a difference of exactly 2 mm counts.
    expect(x?.agreement.within2).toBe(75)
    expect(x?.agreement.dahlberg).toBeCloseTo(Math.sqrt(14 / 8), 12)
    expect(x?.agreement.sd).toBeCloseTo(Math.sqrt(5 / 3), 12)
  })

  it('gives the values of each image for plots, and the reason where one is missing', () => {
    const [x] = score([0, null, 2], [1, 1, 2]).measures
    expect(x?.images).toBe(2)
    expect(x?.perImage[0]).toMatchObject({
      id: '1',
      truth: 1,
      predicted: 0,
      truthClass: 'level 1',
      predictedClass: 'level 0',
      reason: null,
    })
    expect(x?.perImage[1]).toMatchObject({
      truth: 1,
      predicted: null,
      reason: 'prediction: no point for P',
    })
  })

  it('averages the rates of the measures and gives their intervals by resampling images', () => {
    const result = score(predicted, truth)
    expect(result.scr).toBe(result.measures[0]?.scr)
    expect(result.scrCi95).toEqual(result.measures[0]?.scrCi95)
    const [low, high] = result.scrCi95
    expect(low).toBeLessThan(75)
    expect(high).toBeGreaterThan(75)
    // Perfect classes stay perfect in every resample.
    expect(score(truth, truth).scrCi95).toEqual([100, 100])
  })

  it('leaves out a landmark on demand', () => {
    const { measures } = evaluateClinical({
      predictions: predictionsOf(
        {
          '1': [
            [30, 0],
            [0, 0],
          ],
        },
        ['U1', 'L1'],
      ),
      annotations: annotationsOf({
        '1': [
          [30, 0],
          [0, 0],
        ],
      }),
      exclude: ['L1'],
    })
    expect(measures.at(-1)?.images).toBe(0)
  })
})

describe('the official rate', () => {
  it('is a precision for FHI and a recall for MW', () => {
    // FHI: two long faces of three called so; nothing else is called long.
    const truth = [0.6, 0.6, 0.6, 0.7, 0.8]
    const predicted = [0.6, 0.6, 0.7, 0.7, 0.8]
    expect(rate('FHI', truth, predicted, 'corrected')).toBeCloseTo((100 * (2 / 3 + 1 + 1)) / 3, 10)
    expect(rate('FHI', truth, predicted, 'official')).toBeCloseTo((100 * (1 + 1 / 2 + 1)) / 3, 10)
  })

  it('leaves the large overjet of MW out where an edge-to-edge bite occurs', () => {
    const truth = [3, 0, -1, 5, 5]
    const predicted = [3, 0, 3, 5, 3]
    expect(rate('MW', truth, predicted, 'official')).toBeCloseTo((100 * (1 + 1 + 0)) / 3, 10)
    expect(rate('MW', truth, predicted, 'corrected')).toBeCloseTo((100 * (1 + 1 + 0 + 0.5)) / 4, 10)
  })

  it('does not exist with fewer than three classes', () => {
    expect(rate('MW', [3, 3, 5], [3, 3, 5], 'official')).toBeNaN()
    expect(rate('MW', [3, 3, 5], [3, 3, 5], 'corrected')).toBe(100)
  })
})

describe('classes from chains', () => {
  /** One image a row of counts: so many chains at each level. */
  function chains(draws: readonly (readonly number[])[], truth: readonly number[]) {
    const rows = draws.map((row) => row.flatMap((times, k) => new Array<number>(times).fill(k)))
    const file = predictionsOf(images(rows.map((row) => row[0] as number)), ['P'], [1, 1])
    return evaluateClinical({
      predictions: {
        ...file,
        images: file.images.map((image, i) => ({
          ...image,
          chains: (rows[i] as number[]).map((x): (Point | null)[] => [[x, 0]]),
        })),
      },
      annotations: annotationsOf(images(truth)),
      measures: [levels((draws[0] as number[]).length)],
      bootstrap: { resamples: 0 },
    }).measures[0]
  }

  it("have scikit-learn's Brier score and calibration error", () => {
    for (const { draws, truth, brier, ece } of reference.calibrations) {
      const found = chains(draws, truth)?.sampled
      expect(found?.images).toBe(truth.length)
      expect(Math.abs((found?.brier ?? 0) - brier)).toBeLessThan(1e-9)
      expect(Math.abs((found?.ece ?? 0) - ece)).toBeLessThan(1e-9)
    }
  })

  it('give each image its values, interval and class probabilities', () => {
    const found = chains([[5, 15, 0]], [1])
    expect(found?.perImage[0]?.sampled).toEqual({
      values: [0, 0, 0, 0, 0, ...new Array(15).fill(1)],
      interval: [0, 1],
      probabilities: [0.25, 0.75, 0],
    })
    expect(found?.sampled).toMatchObject({ coverage: 100, width: 1 })
  })

  it('leave out a chain that misses a point', () => {
    const file = predictionsOf(images([1]), ['P'], [1, 1])
    const { measures } = evaluateClinical({
      predictions: {
        ...file,
        images: file.images.map((image) => ({ ...image, chains: [[[1, 0]], [null], [[2, 0]]] })),
      },
      annotations: annotationsOf(images([1])),
      measures: [levels(3)],
    })
    expect(measures[0]?.perImage[0]?.sampled?.values).toEqual([1, 2])
  })
})
