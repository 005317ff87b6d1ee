import fc from 'fast-check'
import {
  annotatorMetrics,
  evaluate,
  type Point,
  radialErrors,
  segmentRatio,
} from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from './fixtures.js'

const landmarks = ['S', 'N', 'Or']
const bootstrap = { resamples: 0 }
/** Tenths of a pixel, as sub-pixel predictions have them. */
const coordinate = fc.integer({ min: 0, max: 20_000 }).map((tenths) => tenths / 10)
const point: fc.Arbitrary<Point> = fc.tuple(coordinate, coordinate)
const maybe = fc.option(point, { freq: 5 })
const row = fc.tuple(maybe, maybe, maybe)
/** Images with predicted and annotated points, at least one of them annotated. */
const images = fc
  .array(fc.record({ predicted: row, annotated: row }), { minLength: 1, maxLength: 8 })
  .filter((list) => list.some(({ annotated }) => annotated.some((mark) => mark !== null)))
type Images = typeof images extends fc.Arbitrary<infer T> ? T : never

function optionsOf(list: Images, change: (mark: Point) => Point = (mark) => mark) {
  const table = (key: 'predicted' | 'annotated') =>
    Object.fromEntries(
      list.map((image, i) => [`i${i}`, image[key].map((mark) => mark && change(mark))]),
    )
  return {
    predictions: predictionsOf(table('predicted'), landmarks),
    annotations: annotationsOf(table('annotated')),
    bootstrap,
  }
}

describe('for any points', () => {
  it('the figures do not depend on the order of the images', () => {
    fc.assert(
      fc.property(images, (list) => {
        const [one, other] = [evaluate(optionsOf(list)), evaluate(optionsOf([...list].reverse()))]
        expect(other.sdr).toEqual(one.sdr)
        expect(other.points).toBe(one.points)
        if (!Number.isNaN(one.mre.mean)) expect(other.mre.mean).toBeCloseTo(one.mre.mean, 9)
      }),
    )
  })

  it('a rigid motion of everything changes no figure, not even at a tie', () => {
    const angle = fc.double({ min: -Math.PI, max: Math.PI, noNaN: true })
    fc.assert(
      fc.property(images, angle, coordinate, coordinate, (list, turn, dx, dy) => {
        const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
        const move = ([x, y]: Point): Point => [cos * x - sin * y + dx, sin * x + cos * y + dy]
        const [one, other] = [evaluate(optionsOf(list)), evaluate(optionsOf(list, move))]
        expect(other.sdr).toEqual(one.sdr)
        expect([other.points, other.missing]).toEqual([one.points, one.missing])
        if (!Number.isNaN(one.mre.mean)) expect(other.mre.mean).toBeCloseTo(one.mre.mean, 8)
      }),
    )
  })

  it('an error of exactly a threshold counts, whatever the direction', () => {
    const angle = fc.double({ min: -Math.PI, max: Math.PI, noNaN: true })
    fc.assert(
      fc.property(point, angle, ([x, y], turn) => {
        const predicted: Point = [x + 20 * Math.cos(turn), y + 20 * Math.sin(turn)]
        const options = {
          predictions: predictionsOf({ a: [predicted] }, ['S']),
          annotations: annotationsOf({ a: [[x, y]] }),
          bootstrap,
        }
        expect(evaluate(options).sdr['2']).toBe(100)
        expect(evaluate({ ...options, convention: 'strict' }).sdr['2']).toBe(0)
      }),
    )
  })

  it('the success rates grow with the threshold, and strict ones are not larger', () => {
    fc.assert(
      fc.property(images, (list) => {
        const options = optionsOf(list)
        const { sdr } = evaluate(options)
        const strict = evaluate({ ...options, convention: 'strict' }).sdr
        const rates = [sdr['2'], sdr['2.5'], sdr['3'], sdr['4']]
        expect([...rates].sort((a, b) => a - b)).toEqual(rates)
        for (const key of ['2', '2.5', '3', '4'] as const)
          expect(strict[key]).toBeLessThanOrEqual(sdr[key])
      }),
    )
  })

  it('distances are the same in both directions', () => {
    fc.assert(
      fc.property(fc.tuple(point, point, point), fc.tuple(point, point, point), (a, b) => {
        const errors = (from: Point[], to: Point[]) => [
          ...radialErrors({
            predictions: predictionsOf({ i: from }, landmarks),
            annotations: annotationsOf({ i: to }),
          }).values,
        ]
        expect(errors(a, b)).toEqual(errors(b, a))
      }),
    )
  })

  it('a landmark that is masked everywhere is as if it were excluded', () => {
    fc.assert(
      fc.property(images, (list) => {
        const masked = list.map(({ predicted, annotated: [s, n] }) => ({
          predicted,
          annotated: [s, n, null] as [Point | null, Point | null, null],
        }))
        fc.pre(masked.some(({ annotated }) => annotated.some((mark) => mark !== null)))
        const one = evaluate(optionsOf(masked))
        const other = evaluate({ ...optionsOf(list), exclude: ['Or'] })
        expect([one.points, one.missing, one.mre.mean]).toEqual([
          other.points,
          other.missing,
          other.mre.mean,
        ])
        expect(one.sdr).toEqual(other.sdr)
      }),
    )
  })

  it('rho lies between 0 and 1 and the nearer distance is not above either', () => {
    fc.assert(
      fc.property(point, point, point, (predicted, junior, senior) => {
        const metrics = annotatorMetrics({
          predictions: predictionsOf({ a: [predicted] }, ['S']),
          annotations: new Map(),
          annotators: new Map([
            ['junior', annotationsOf({ a: [junior] })],
            ['senior', annotationsOf({ a: [senior] })],
          ]),
          errors: { ids: [], landmarks: ['S'], values: new Float64Array() },
        })
        const { rho = Number.NaN, nearer = Number.NaN, distance = {} } = metrics ?? {}
        expect(rho).toBeGreaterThanOrEqual(0)
        expect(rho).toBeLessThanOrEqual(1)
        for (const each of Object.values(distance)) expect(nearer).toBeLessThanOrEqual(each)
      }),
    )
  })

  it('rho is 1 on the segment between the annotators', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 900 }),
        (share, length) => {
          expect(segmentRatio(share * length, (1 - share) * length, length)).toBeCloseTo(1, 9)
        },
      ),
    )
  })
})
