import {
  annotatorMetrics,
  type Evidence,
  errorCurve,
  errorDistribution,
  evaluate,
  evaluateParts,
  landmarkBias,
  offsets,
  type Point,
  radialErrors,
  segmentRatio,
  truthTable,
  worstPoints,
} from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from './fixtures.js'

/** Images with one landmark in pixels of 0.1 mm: the prediction lies at (500, 500). */
function evidenceOf(
  junior: Record<string, (Point | null)[]>,
  senior: Record<string, (Point | null)[]>,
  landmarks: readonly string[] = ['S'],
): Evidence {
  const ids = Object.keys(junior)
  const points = landmarks.map((): Point => [500, 500])
  const predictions = predictionsOf(Object.fromEntries(ids.map((id) => [id, points])), landmarks)
  const annotators = new Map([
    ['junior', annotationsOf(junior)],
    ['senior', annotationsOf(senior)],
  ])
  const options = { predictions, annotations: annotationsOf(senior), annotators, truth: 'senior' }
  return { ...options, errors: radialErrors(options), truths: annotators }
}

describe('the truth', () => {
  // a: junior 3 mm, senior 1 mm; b: junior 2 mm, senior not marked.
  const evidence = evidenceOf({ a: [[530, 500]], b: [[500, 520]] }, { a: [[500, 510]], b: [null] })

  it('"nearest" takes the nearer annotator of points that both marked', () => {
    const result = evaluate({ ...evidence, truth: 'nearest' })
    expect(result).toMatchObject({ points: 1, mre: { mean: 1 } })
  })

  it('"either" takes the nearer annotator among those who marked the point', () => {
    const result = evaluate({ ...evidence, truth: 'either' })
    expect(result).toMatchObject({ points: 2, mre: { mean: 1.5 }, sdr: { '2': 100 } })
  })

  it.each(['nearest', 'either'])('"%s" is refused for one annotator', (truth) => {
    const annotators = new Map([['junior', annotationsOf({ a: [[530, 500]] })]])
    expect(() => evaluate({ ...evidence, annotators, truth })).toThrow(/at least two annotators/)
  })

  it('changes from row to row of the table, each with its own points', () => {
    expect(truthTable(evidence).map(({ truth, points, mre }) => [truth, points, mre])).toEqual([
      ['junior', 2, 2.5],
      ['senior', 1, 1],
      ['nearest', 1, 1],
      ['either', 2, 1.5],
    ])
  })

  it('is also shown without disputed landmarks', () => {
    const both = {
      a: [
        [530, 500],
        [500, 510],
      ] as Point[],
    }
    const set = { name: 'two', landmarks: [], disputed: ['N'] }
    const rows = truthTable({ ...evidenceOf(both, both, ['S', 'N']), landmarkSet: set })
    expect(rows.filter(({ truth }) => truth === 'junior')).toMatchObject([
      { without: [], mre: 2 },
      { without: ['N'], mre: 3 },
    ])
  })
})

describe('metrics of both annotators', () => {
  it('are 1 on the segment between the annotators and fall beside it', () => {
    expect(segmentRatio(1, 2, 3)).toBe(1)
    expect(segmentRatio(5, 5, 6)).toBeCloseTo(0.6, 12)
    expect(segmentRatio(4, 4, 0)).toBe(0)
    expect(segmentRatio(0, 0, 0)).toBe(1)
  })

  it('have the hand-computed means', () => {
    // Junior 40 px to the right and senior 30 px to the left in a; a right angle (3, 4, 5 mm) in b.
    const evidence = evidenceOf(
      { a: [[540, 500]], b: [[530, 500]] },
      { a: [[470, 500]], b: [[500, 540]] },
    )
    expect(annotatorMetrics(evidence)).toMatchObject({
      annotators: ['junior', 'senior'],
      points: 2,
      distance: { junior: expect.closeTo(3.5, 12), senior: expect.closeTo(3.5, 12) },
      nearer: expect.closeTo(3, 12),
      between: expect.closeTo(6, 12),
      rho: expect.closeTo((1 + 5 / 7) / 2, 12),
      sdr: { '2': 0, '3': 100 },
    })
  })

  it('leave out points that one annotator did not mark', () => {
    const evidence = evidenceOf(
      { a: [[540, 500]], b: [[530, 500]] },
      { a: [[470, 500]], b: [null] },
    )
    expect(annotatorMetrics(evidence)?.points).toBe(1)
  })
})

describe('the distribution of errors', () => {
  it('has the exact area under the curve up to 4 mm', () => {
    // (4-0 + 4-1 + 4-3 + 0 + 0) / (5 * 4), the last point not found.
    const { auc, failures, outliers } = errorCurve([0, 1, 3, 11, Number.POSITIVE_INFINITY])
    expect(auc).toBeCloseTo(8 / 20, 12)
    expect(failures).toEqual({ '4': 40, '10': 40 })
    expect(outliers).toEqual({ '4': 2, '10': 2 })
  })

  it('has a curve that steps at each error and counts ties', () => {
    const { share } = errorCurve([0.1, 0.2, 10])
    expect([share[0], share[1], share[2], share[99], share[100]]).toEqual([
      0,
      1 / 3,
      2 / 3,
      2 / 3,
      1,
    ])
    expect(errorCurve([0.1], 'strict').share[1]).toBe(0)
  })

  it('averages over points and over landmarks, and knows each SD by name', () => {
    // S: 1, 3 mm; N: 8 mm, not marked in b.
    const marks = {
      a: [
        [510, 500],
        [580, 500],
      ] as Point[],
      b: [[530, 500], null] as (Point | null)[],
    }
    const { micro, macro, sd, percentiles } = errorDistribution(
      evidenceOf(marks, marks, ['S', 'N']).errors,
    )
    expect(micro).toMatchObject({ mre: 4, sdr: { '2': expect.closeTo(100 / 3, 12) } })
    expect(macro).toMatchObject({ mre: 5, sdr: { '2': 25, '3': 50 } })
    expect(sd.pooled).toBeCloseTo(Math.sqrt((9 + 1 + 16) / 3), 12)
    expect(sd.official).toBeCloseTo(0.5, 12)
    // Image means 4.5 and 3.
    expect(sd['per-image']).toBeCloseTo(0.75, 12)
    expect(percentiles).toMatchObject({ p50: 3, p90: expect.closeTo(7, 12), max: 8 })
  })
})

describe('the bias of a landmark', () => {
  it('is the mean offset of the prediction from the truth, with an interval over images', () => {
    const marks = { a: [[490, 500]], b: [[480, 500]], c: [[470, 500]] } as Record<string, Point[]>
    const evidence = evidenceOf(marks, marks)
    const [bias] = landmarkBias(offsets(evidence))
    expect(bias).toMatchObject({ name: 'S', points: 3, significant: true })
    expect(bias?.dx.mean).toBeCloseTo(2, 12)
    expect(bias?.dy).toEqual({ mean: 0, ci95: [0, 0] })
    expect(bias?.dx.ci95[0]).toBeGreaterThanOrEqual(1 - 1e-9)
    expect(bias?.dx.ci95[1]).toBeLessThanOrEqual(3 + 1e-9)
  })
})

describe('the worst points', () => {
  it('come worst first, those that were not found before all others', () => {
    const table = {
      ids: ['a', 'b'],
      landmarks: ['S', 'N'],
      values: new Float64Array([1, Number.POSITIVE_INFINITY, Number.NaN, 2]),
    }
    expect(worstPoints(table)).toEqual([
      { id: 'a', landmark: 'N', error: null },
      { id: 'b', landmark: 'N', error: 2 },
      { id: 'a', landmark: 'S', error: 1 },
    ])
    expect(worstPoints(table, 1)).toHaveLength(1)
  })
})

it('parts that the evidence is not enough for are left out', async () => {
  const evidence = evidenceOf({ a: [[530, 500]] }, { a: [[500, 510]] })
  expect([...(await evaluateParts(evidence)).keys()]).toEqual([
    'truths',
    'annotators',
    'distribution',
    'bias',
    'worst',
  ])
  const { annotators: _, truths: __, ...alone } = evidence
  expect([...(await evaluateParts(alone)).keys()]).toEqual(['distribution', 'bias', 'worst'])
})

describe('pixel sizes', () => {
  const evidence = evidenceOf({ a: [[530, 500]] }, { a: [[500, 510]] })

  it('of predictions and annotations must agree', () => {
    const pixelSizes = new Map([['a', [0.1, 0.125] as const]])
    expect(() => evaluate({ ...evidence, pixelSizes })).toThrow(
      /image 'a' is 0\.1 x 0\.1 mm in the predictions and 0\.1 x 0\.125 mm in the annotations/,
    )
  })

  it('of the annotations are used where the predictions know none', () => {
    const predictions = predictionsOf({ a: [[500, 500]] }, ['S'], null)
    const pixelSizes = new Map([['a', [0.1, 0.2] as const]])
    expect(evaluate({ ...evidence, predictions, pixelSizes }).mre.mean).toBe(2)
  })
})
