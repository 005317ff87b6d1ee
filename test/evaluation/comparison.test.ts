import { readFileSync } from 'node:fs'
import {
  type ComparisonResult,
  compareErrors,
  formatComparison,
} from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'

/** Two detectors and what SciPy and statsmodels say of them, written by scripts/reference/evaluation_statistics.py. */
const reference = JSON.parse(
  readFileSync(new URL('../fixtures/statistics.json', import.meta.url), 'utf8'),
).comparisons

/** Errors as a table: null is not annotated, -1 is not found. */
function contender(name: string, rows: readonly (readonly (number | null)[])[], ids?: string[]) {
  const values = rows.flat().map((error) => {
    if (error === null) return Number.NaN
    return error === -1 ? Number.POSITIVE_INFINITY : error
  })
  return {
    name,
    errors: {
      ids: ids ?? rows.map((_, i) => String(i)),
      landmarks: (rows[0] ?? []).map((_, j) => `L${j}`),
      values: Float64Array.from(values),
    },
  }
}

const only = ({ comparisons: [comparison] }: ComparisonResult) => {
  if (comparison === undefined) throw new Error('there is no comparison')
  return comparison
}

describe('two detectors', () => {
  const result = compareErrors([contender('a', reference.first), contender('b', reference.second)])
  const pair = only(result)

  it('differ as NumPy says, in the MRE over what both found and in the rates over all', () => {
    expect(pair.points).toBe(reference.points)
    expect(pair.mre.difference).toBeCloseTo(reference.mre, 9)
    for (const limit of ['2', '2.5', '3', '4'] as const)
      expect(pair.sdr[limit].difference).toBeCloseTo(reference.sdr[limit], 9)
    for (const [j, { difference }] of pair.perLandmark.entries())
      expect(difference).toBeCloseTo(reference.perLandmark[j], 9)
  })

  it('are tested as SciPy and statsmodels do; a landmark that does not differ is no test', () => {
    expect(pair.wilcoxon.p).toBeCloseTo(reference.wilcoxon, 9)
    for (const [j, p] of reference.p.entries()) {
      expect(pair.perLandmark[j]?.p).toBeCloseTo(p, 9)
      expect(pair.perLandmark[j]?.pHolm).toBeCloseTo(reference.pHolm[j], 9)
    }
    expect(pair.perLandmark[3]).toMatchObject({ difference: 0, p: Number.NaN, pHolm: Number.NaN })
  })

  it('win points, and lose those that they did not find', () => {
    expect(pair.perLandmark.map(({ wins }) => wins)).toEqual(reference.nearer)
    expect(pair.crossed['2']).toEqual({ gained: reference.gained2, lost: reference.lost2 })
  })

  it('have the difference within its interval', () => {
    const [low, high] = pair.mre.ci95
    expect(low).toBeLessThan(pair.mre.difference)
    expect(high).toBeGreaterThan(pair.mre.difference)
  })

  it('exchanged have the opposite differences and the same tests', () => {
    const turned = only(
      compareErrors([contender('b', reference.second), contender('a', reference.first)]),
    )
    expect(turned.mre.difference).toBeCloseTo(-pair.mre.difference, 12)
    expect(turned.mre.ci95[0]).toBeCloseTo(-pair.mre.ci95[1], 12)
    expect(turned.wilcoxon.p).toBe(pair.wilcoxon.p)
    expect(turned.crossed['4'].gained).toBe(pair.crossed['4'].lost)
  })
})

describe('a comparison', () => {
  it('is of the images and landmarks that all have, and names the others', () => {
    const a = contender('a', [[1], [2], [9]], ['x', 'y', 'z'])
    const b = contender(
      'b',
      [
        [2, 7],
        [4, 7],
      ],
      ['y', 'x'],
    )
    const c = contender('c', [[1], [1], [1]], ['x', 'y', 'w'])
    const result = compareErrors([a, b, c])
    expect(result).toMatchObject({ images: 2, points: 2, landmarks: ['L0'] })
    expect(result.leftOut).toEqual({ images: ['z', 'w'], landmarks: ['L1'] })
    expect(result.contenders.map(({ mre }) => mre.mean)).toEqual([1.5, 3, 1])
    // x: 1, 4, 1; y: 2, 2, 1.
    expect(result.comparisons.map(({ mre }) => mre.difference)).toEqual([1.5, -0.5])
    expect(result.comparisons[0]?.perImage).toEqual([
      {
        id: 'x',
        points: 1,
        first: 1,
        second: 4,
        difference: 3,
        landmark: { name: 'L0', first: 1, second: 4 },
      },
      { id: 'y', points: 1, first: 2, second: 2, difference: 0, landmark: null },
    ])
  })

  it('of a detector with itself has no difference and no winner', () => {
    const rows = [
      [1, 2, null],
      [3, -1, 0.5],
      [2, 2, 2],
    ]
    const pair = only(compareErrors([contender('a', rows), contender('same', rows)]))
    expect(pair.mre).toEqual({ difference: 0, ci95: [0, 0], p: 1 })
    expect(pair.wins.points).toEqual({ first: 0, second: 0, ties: 8 })
    expect(pair.wilcoxon.p).toBeNaN()
  })

  it('takes differences of a rounding error for none', () => {
    const pair = only(compareErrors([contender('a', [[0.3]]), contender('b', [[0.1 + 0.2]])]))
    expect(pair.wins.points).toEqual({ first: 0, second: 0, ties: 1 })
    expect(pair.perImage[0]).toMatchObject({ difference: 0, landmark: null })
  })

  it('finds a difference that is the same on every image significant, with Holm over the comparisons', () => {
    const rows = (shift: number) => Array.from({ length: 12 }, (_, i) => [1 + i / 10 + shift])
    const result = compareErrors([
      contender('a', rows(0)),
      contender('better', rows(-0.5)),
      contender('worse', rows(0.25)),
    ])
    // All 12 differences have the same sign and, up to rounding, the same size: p = 2 / 2^12.
    for (const { wilcoxon } of result.comparisons) {
      expect(wilcoxon.p).toBeCloseTo(2 / 2 ** 12, 12)
      expect(wilcoxon.pHolm).toBeCloseTo(4 / 2 ** 12, 12)
    }
    expect(result.comparisons.map(({ mre }) => mre.ci95.map((bound) => bound.toFixed(6)))).toEqual([
      ['-0.500000', '-0.500000'],
      ['0.250000', '0.250000'],
    ])
  })

  it('without a common annotated point is refused, with both names', () => {
    const other = contender('b', [[1]], ['elsewhere'])
    expect(() => compareErrors([contender('a', [[1]]), other])).toThrow(
      /a and b .*share 0 annotated images/,
    )
  })

  it('prints a difference that rounds to nothing without a sign', () => {
    const rows = (shift: number) => [[1 + shift], [2 - 1.5 * shift]]
    const text = (shift: number) =>
      formatComparison(
        compareErrors([contender('a', rows(0)), contender('b', rows(shift))]),
        '',
      ).join('\n')
    expect(text(0.004)).toMatch(/^B - A: MRE, mm +0\.00 +\[-0\.01, 0\.00\] /m)
    expect(text(-0.004)).toMatch(/^B - A: MRE, mm +0\.00 +\[0\.00, 0\.01\] /m)
  })

  it('is printed with the contenders as letters', () => {
    const result = compareErrors([
      contender('runs/old', [[1], [4]]),
      contender('runs/new', [[2], [1]]),
    ])
    const text = formatComparison(result, 'Split test1').join('\n\n')
    expect(text).toMatch(/^Split test1: 2 images, 2 points/)
    expect(text).toMatch(/^A: runs\/old\nB: runs\/new$/m)
    expect(text).toMatch(/^B - A: MRE, mm +-1\.00 /m)
    expect(text).toMatch(/^L0 +-1\.00 .* 1 \/ 0 \/ 1$/m)
    expect(text).toMatch(
      /^Nearer to the truth by B: 1 images\nimage .*\n1 +4\.00 +1\.00 +-3\.00 +L0/m,
    )
  })
})
