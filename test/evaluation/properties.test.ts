import fc from 'fast-check'
import { evaluate, type Point } from 'landmark-diffusion/evaluation'
import { expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from './fixtures.js'

const names = ['a', 'b', 'c']
const coordinate = fc.integer({ min: 0, max: 4000 }).map((quarters) => quarters / 4)
const point: fc.Arbitrary<Point> = fc.tuple(coordinate, coordinate)
const row = fc.tuple(point, point, point)
/** Predicted and true points of a few images. */
const set = fc.array(fc.tuple(row, row), { minLength: 1, maxLength: 6 })

type Row = readonly (Point | null)[]

function score(pairs: readonly (readonly [Row, Row])[], ids = pairs.map((_, i) => `i${i}`)) {
  const side = (s: 0 | 1) => Object.fromEntries(ids.map((id, i) => [id, pairs[i]?.[s] as Row]))
  return evaluate({
    predictions: predictionsOf(side(0), names, [0.02, 0.02]),
    annotations: annotationsOf(side(1)),
    bootstrap: { resamples: 0 },
  })
}

it('success rates grow with the threshold and stay within 0 and 100 percent', () => {
  fc.assert(
    fc.property(set, (pairs) => {
      const { sdr } = score(pairs)
      const rates = [0, sdr['2'], sdr['2.5'], sdr['3'], sdr['4'], 100]
      expect(rates).toEqual([...rates].sort((a, b) => a - b))
    }),
    { seed: 1 },
  )
})

it('errors are the same from truth to prediction as from prediction to truth', () => {
  fc.assert(
    fc.property(set, (pairs) => {
      const forward = score(pairs)
      const back = score(pairs.map(([predicted, truth]) => [truth, predicted] as const))
      expect(back.mre).toEqual(forward.mre)
      expect(back.sdr).toEqual(forward.sdr)
    }),
    { seed: 2 },
  )
})

it('the order of the images changes no figure', () => {
  fc.assert(
    fc.property(set, (pairs) => {
      const ids = pairs.map((_, i) => `i${i}`)
      const forward = score(pairs, ids)
      const back = score([...pairs].reverse(), [...ids].reverse())
      expect(back.mre.mean).toBeCloseTo(forward.mre.mean, 9)
      expect(back.mre.sd).toBeCloseTo(forward.mre.sd, 9)
      expect(back.sdr).toEqual(forward.sdr)
      expect(back.median).toBe(forward.median)
    }),
    { seed: 3 },
  )
})

it('turning and moving truth and prediction together changes no error', () => {
  const turn = fc.double({ min: -4, max: 4, noNaN: true })
  fc.assert(
    fc.property(set, turn, coordinate, coordinate, (pairs, angle, dx, dy) => {
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
      const move = (points: Row): Row =>
        points.map((at) => at && [cos * at[0] - sin * at[1] + dx, sin * at[0] + cos * at[1] + dy])
      const before = score(pairs)
      const after = score(
        pairs.map(([predicted, truth]) => [move(predicted), move(truth)] as const),
      )
      expect(after.mre.mean).toBeCloseTo(before.mre.mean, 9)
      expect(after.max).toBeCloseTo(before.max, 9)
      expect(after.sdr).toEqual(before.sdr)
    }),
    { seed: 4 },
  )
})

it('a point without annotation counts as if it had not been predicted at all', () => {
  const masks = fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), {
    minLength: 6,
    maxLength: 6,
  })
  fc.assert(
    fc.property(set, masks, (pairs, mask) => {
      const shown = (i: number, j: number) => mask[i]?.[j] === true
      const masked = pairs.map(
        ([predicted, truth], i) =>
          [predicted, truth.map((at, j) => (shown(i, j) ? at : null))] as const,
      )
      const distances = pairs.flatMap(([predicted, truth], i) =>
        truth.flatMap((at, j) => {
          const found = predicted[j] as Point
          return shown(i, j) ? [0.02 * Math.hypot(found[0] - at[0], found[1] - at[1])] : []
        }),
      )
      fc.pre(distances.length > 0)
      const { points, mre, max } = score(masked)
      expect(points).toBe(distances.length)
      expect(mre.mean).toBeCloseTo(distances.reduce((a, b) => a + b) / points, 9)
      expect(max).toBeCloseTo(Math.max(...distances), 9)
    }),
    { seed: 5 },
  )
})
