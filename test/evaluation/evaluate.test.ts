import { evaluate, meanShape, type Point, radialErrors } from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { annotationsOf, lehmer, predictionsOf } from './fixtures.js'

const origin: Point = [500, 500]
const quick = { resamples: 20 }

/** One image with one landmark, predicted `dx`, `dy` pixels beside the truth. */
function single(dx: number, dy: number, pixelSize: readonly [number, number] = [0.1, 0.1]) {
  return {
    predictions: predictionsOf({ a: [[500 + dx, 500 + dy]] }, ['S'], pixelSize),
    annotations: annotationsOf({ a: [origin] }),
    bootstrap: quick,
  }
}

describe('radial errors', () => {
  it('are lengths in mm', () => {
    expect(evaluate(single(30, 40)).mre.mean).toBeCloseTo(5, 12)
  })

  it('use the pixel size of each axis', () => {
    const { values } = radialErrors(single(30, 40, [0.2, 0.15]))
    expect(values[0]).toBeCloseTo(Math.sqrt(6 ** 2 + 6 ** 2), 12)
  })

  it('use the pixel size of each image', () => {
    const { images, ...head } = predictionsOf({ a: [[510, 500]], b: [[510, 500]] }, ['S'])
    const predictions = {
      ...head,
      images: images.map((image) =>
        image.id === 'b' ? { ...image, pixelSize: [0.3, 0.3] as const } : image,
      ),
    }
    const annotations = annotationsOf({ a: [origin], b: [origin] })
    expect([...radialErrors({ predictions, annotations }).values]).toEqual([1, 3])
  })

  it('are refused in mm where no pixel size is known, and accept one that is given', () => {
    const options = {
      predictions: predictionsOf({ a: [[510, 500]] }, ['S'], null),
      annotations: annotationsOf({ a: [origin] }),
    }
    expect(() => evaluate(options)).toThrow(/pixel size of image 'a' is unknown.*--pixel-size/)
    expect(evaluate({ ...options, pixelSize: [0.5, 0.5] }).mre.mean).toBe(5)
  })
})

describe('success detection rates', () => {
  // Offsets in pixels of 0.1 mm whose length is exactly a threshold.
  const ties: [number, number, '2' | '2.5' | '3' | '4'][] = [
    [20, 0, '2'],
    [12, 16, '2'],
    [-16, 12, '2'],
    [25, 0, '2.5'],
    [7, -24, '2.5'],
    [15, 20, '2.5'],
    [18, 24, '3'],
    [0, 30, '3'],
    [24, 32, '4'],
    [-40, 0, '4'],
  ]

  it.each(ties)('count an error of (%d, %d) px as within %s mm', (dx, dy, threshold) => {
    expect(evaluate(single(dx, dy)).sdr[threshold]).toBe(100)
  })

  it.each(ties)('leave out an error of (%d, %d) px at %s mm when strict', (dx, dy, threshold) => {
    expect(evaluate({ ...single(dx, dy), convention: 'strict' }).sdr[threshold]).toBe(0)
  })

  it('miss an error one whole pixel step above the threshold', () => {
    // 401 = 20^2 + 1^2 is the next squared pixel distance above 400.
    expect(evaluate(single(20, 1)).sdr['2']).toBe(0)
    expect(evaluate({ ...single(19, 6), convention: 'strict' }).sdr['2']).toBe(100)
  })

  it('count half pixels of an averaged truth exactly', () => {
    const options = {
      predictions: predictionsOf({ a: [[520.5, 500]] }, ['S']),
      annotations: annotationsOf({ a: [[500.5, 500]] }),
      bootstrap: quick,
    }
    expect(evaluate(options).sdr['2']).toBe(100)
  })
})

describe('an evaluation', () => {
  // Errors in mm: image a: 1, 3; image b: 2, 6; image c: 3, 12.
  const landmarks = ['S', 'N']
  const predictions = predictionsOf(
    {
      a: [
        [510, 500],
        [500, 530],
      ],
      b: [
        [520, 500],
        [500, 560],
      ],
      c: [
        [530, 500],
        [500, 620],
      ],
    },
    landmarks,
  )
  const annotations = annotationsOf({
    a: [origin, origin],
    b: [origin, origin],
    c: [origin, origin],
  })
  const options = { predictions, annotations, bootstrap: quick }

  it('has the hand-computed figures', () => {
    const result = evaluate(options)
    expect(result).toMatchObject({ images: 3, points: 6, missing: 0, over10mm: 1, max: 12 })
    expect(result.mre.mean).toBeCloseTo(27 / 6, 12)
    expect(result.median).toBeCloseTo(3, 12)
    expect(result.p95).toBeCloseTo(10.5, 12)
    expect(result.sdr['2']).toBeCloseTo((100 * 2) / 6, 12)
    expect(result.sdr['3']).toBeCloseTo((100 * 4) / 6, 12)
    expect(result.perLandmark.map(({ name, mre }) => [name, mre])).toEqual([
      ['S', 2],
      ['N', 7],
    ])
  })

  it('has three standard deviations, by name of the convention', () => {
    const sd = (convention: 'pooled' | 'official' | 'per-image' | 'strict') =>
      evaluate({ ...options, convention }).mre.sd
    const pooled = Math.sqrt((1 + 9 + 4 + 36 + 9 + 144) / 6 - 4.5 ** 2)
    expect(sd('pooled')).toBeCloseTo(pooled, 12)
    expect(sd('strict')).toBeCloseTo(pooled, 12)
    // Landmark columns 1, 2, 3 and 3, 6, 12.
    expect(sd('official')).toBeCloseTo((Math.sqrt(2 / 3) + Math.sqrt(63 - 49)) / 2, 12)
    // Image means 2, 4, 7.5.
    expect(sd('per-image')).toBeCloseTo(Math.sqrt((4 + 16 + 56.25) / 3 - 4.5 ** 2), 12)
  })

  it('averages points by default and landmark columns in the official convention when annotations are missing', () => {
    const masked = annotationsOf({ a: [origin, origin], b: [origin, null], c: [origin, null] })
    const pooled = evaluate({ ...options, annotations: masked })
    expect(pooled.points).toBe(4)
    expect(pooled.mre.mean).toBeCloseTo((1 + 3 + 2 + 3) / 4, 12)
    const official = evaluate({ ...options, annotations: masked, convention: 'official' })
    expect(official.mre.mean).toBeCloseTo((2 + 3) / 2, 12)
    expect(official.sdr['2']).toBeCloseTo((100 * (2 / 3 + 0)) / 2, 12)
  })

  it('counts a landmark that was not found as a miss at every threshold and leaves it out of the means', () => {
    const { images, ...head } = predictions
    const lost = {
      ...head,
      images: images.map((image) => ({ ...image, points: [image.points[0] ?? null, null] })),
    }
    const result = evaluate({ ...options, predictions: lost })
    expect(result).toMatchObject({ points: 6, missing: 3, over10mm: 0, max: 3 })
    expect(result.mre.mean).toBeCloseTo(2, 12)
    expect(result.sdr).toEqual({ '2': (100 * 2) / 6, '2.5': (100 * 2) / 6, '3': 50, '4': 50 })
    expect(result.perLandmark[1]).toMatchObject({ name: 'N', points: 3, missing: 3 })
    expect(result.perLandmark[1]?.mre).toBeNaN()
    expect(result.perImage[0]).toMatchObject({ id: 'a', missing: 1, worst: 'N' })
  })

  it('leaves a landmark out on demand', () => {
    const result = evaluate({ ...options, exclude: ['N'] })
    expect(result).toMatchObject({ points: 3, excluded: ['N'] })
    expect(result.mre.mean).toBeCloseTo(2, 12)
    expect(() => evaluate({ ...options, exclude: ['X'] })).toThrow(/no landmark X to exclude/)
  })

  it('matches landmarks by name, whatever their order', () => {
    const swapped = annotationsOf({
      a: [
        [500, 530],
        [510, 500],
      ],
    })
    const result = evaluate({ ...options, annotations: swapped, landmarks: ['N', 'S'] })
    expect(result.mre.mean).toBe(0)
  })

  it('scores the landmarks that both sides have and names the rest', () => {
    const result = evaluate({ ...options, landmarks: ['S', 'Or'] })
    expect(result.points).toBe(3)
    expect(result.perLandmark.map(({ name }) => name)).toEqual(['S'])
    expect(result.unmatched).toEqual({ predictions: ['N'], annotations: ['Or'] })
    expect(() => evaluate({ ...options, landmarks: ['Or', 'Po'] })).toThrow(
      /no landmark in common: the predictions have S, N, the annotations Or, Po/,
    )
  })

  it('scores the images that are both predicted and annotated and names the annotated rest', () => {
    const more = annotationsOf({ b: [origin, origin], d: [origin, origin] })
    const result = evaluate({ ...options, annotations: more })
    expect(result).toMatchObject({ images: 1, points: 2, unpredicted: ['d'] })
  })

  it('refuses to score nothing', () => {
    expect(() =>
      evaluate({ ...options, annotations: annotationsOf({ d: [origin, origin] }) }),
    ).toThrow(/nothing to score/)
    expect(() => evaluate({ ...options, annotations: annotationsOf({ a: [null, null] }) })).toThrow(
      /nothing to score/,
    )
  })

  it('refuses an annotation with another number of points', () => {
    expect(() => evaluate({ ...options, annotations: annotationsOf({ a: [origin] }) })).toThrow(
      /annotation of image 'a' has 1 points where 2/,
    )
  })
})

describe('evaluations of random points', () => {
  const landmarks = ['S', 'N', 'Or', 'Po', 'A']
  const uniform = lehmer(20150416)
  const random = (lost: number): Point | null =>
    uniform() < lost ? null : [500 + 80 * (uniform() - 0.5), 500 + 80 * (uniform() - 0.5)]
  const row = (lost: number) => landmarks.map(() => random(lost))
  const ids = Array.from({ length: 30 }, (_, i) => `i${i}`)
  const predicted = Object.fromEntries(ids.map((id) => [id, row(0.05)]))
  const annotated = Object.fromEntries(ids.map((id) => [id, row(0.1)]))
  const options = {
    predictions: predictionsOf(predicted, landmarks, [0.1, 0.2]),
    annotations: annotationsOf(annotated),
  }
  const result = evaluate(options)

  it('agree with a plain count over all pairs', () => {
    const errors: number[] = []
    let lost = 0
    for (const id of ids) {
      for (const [j, truth] of (annotated[id] ?? []).entries()) {
        const guess = predicted[id]?.[j]
        if (truth && guess)
          errors.push(
            Math.sqrt((0.1 * (guess[0] - truth[0])) ** 2 + (0.2 * (guess[1] - truth[1])) ** 2),
          )
        else if (truth) lost++
      }
    }
    expect(result.missing).toBe(lost)
    expect(result.points).toBe(errors.length + lost)
    expect(result.mre.mean).toBeCloseTo(
      errors.reduce((sum, error) => sum + error) / errors.length,
      12,
    )
    const within = errors.filter((error) => error <= 4).length
    expect(result.sdr['4']).toBeCloseTo((100 * within) / (errors.length + lost), 12)
  })

  it('have rates that grow with the threshold and intervals around the figures', () => {
    const { sdr, sdrCi95, mre } = result
    expect(sdr['2']).toBeLessThanOrEqual(sdr['2.5'])
    expect(sdr['2.5']).toBeLessThanOrEqual(sdr['3'])
    expect(sdr['3']).toBeLessThanOrEqual(sdr['4'])
    expect(mre.ci95[0]).toBeLessThan(mre.mean)
    expect(mre.ci95[1]).toBeGreaterThan(mre.mean)
    expect(sdrCi95['4'][0]).toBeLessThanOrEqual(sdr['4'])
    expect(sdrCi95['4'][1]).toBeGreaterThanOrEqual(sdr['4'])
  })

  it('do not depend on the order of the images', () => {
    const { images, ...head } = options.predictions
    const other = evaluate({ ...options, predictions: { ...head, images: [...images].reverse() } })
    expect(other.mre.mean).toBeCloseTo(result.mre.mean, 12)
    expect(other.mre.sd).toBeCloseTo(result.mre.sd, 12)
    expect(other.sdr).toEqual(result.sdr)
  })

  it('do not change when everything is shifted', () => {
    const shift = (points: Record<string, (Point | null)[]>) =>
      Object.fromEntries(
        Object.entries(points).map(([id, list]) => [
          id,
          list.map((point): Point | null => point && [point[0] + 64, point[1] - 32]),
        ]),
      )
    const other = evaluate({
      predictions: predictionsOf(shift(predicted), landmarks, [0.1, 0.2]),
      annotations: annotationsOf(shift(annotated)),
    })
    expect(other.mre.mean).toBeCloseTo(result.mre.mean, 10)
  })

  it('are perfect for the truth itself', () => {
    const same = evaluate({ ...options, predictions: predictionsOf(annotated, landmarks) })
    expect(same.mre).toEqual({ mean: 0, sd: 0, ci95: [0, 0] })
    expect(same.sdr).toEqual({ '2': 100, '2.5': 100, '3': 100, '4': 100 })
  })
})

describe('the mean shape', () => {
  it('is the mean position of each landmark where it is annotated', () => {
    const shape = meanShape(annotationsOf({ a: [[1, 2], null, null], b: [[3, 6], [5, 5], null] }))
    expect(shape).toEqual([[2, 4], [5, 5], null])
  })

  it('is refused without a training image', () => {
    expect(() => meanShape(new Map())).toThrow(/no annotated training image/)
  })
})
