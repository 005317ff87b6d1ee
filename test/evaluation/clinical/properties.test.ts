import fc from 'fast-check'
import { evaluateClinical, type Point } from 'landmark-diffusion/evaluation'
import { expect, it } from 'vitest'
import { annotationsOf, predictionsOf } from '../fixtures.js'

const names = "S N Or Po A B Pog Me Gn Go L1 U1 UL LL Sn Pog' PNS ANS Ar".split(' ')

const offset = fc.integer({ min: 0, max: 300 })
/** Nineteen points on whole pixels, some of these apart, as on a face of about 2000 px. */
const face = fc
  .array(fc.tuple(offset, offset), { minLength: 19, maxLength: 19 })
  .map((offsets) =>
    offsets.map(([x, y], j): Point => [400 * (j % 5) + x, 500 * Math.floor(j / 5) + y]),
  )
const angleOfTurn = fc.double({ min: -Math.PI, max: Math.PI, noNaN: true })
const shift = fc.double({ min: -500, max: 500, noNaN: true })

function valuesOf(points: readonly Point[], pixelSize: readonly [number, number] = [0.1, 0.1]) {
  const { measures } = evaluateClinical({
    predictions: predictionsOf({ '1': points }, names, pixelSize),
    annotations: annotationsOf({ '1': points }),
    bootstrap: { resamples: 0 },
  })
  return new Map(
    measures.map(({ name, perImage: [image] }) => [name, image?.predicted ?? Number.NaN]),
  )
}

/** Up to rounding; a figure that does not exist stays so. */
function expectEqual(a: number, b: number): void {
  if (Number.isNaN(b)) expect(a).toBeNaN()
  else expect(Math.abs(a - b)).toBeLessThan(1e-8)
}

/** Angles on either side of 180 degrees are the same angle. */
function expectSame(a: number, b: number, name: string): void {
  const difference = Math.abs(a - b)
  const isAngle = name !== 'FHI' && name !== 'MW'
  expect(isAngle ? Math.min(difference, Math.abs(360 - difference)) : difference).toBeLessThan(1e-6)
}

it('measures do not change when the whole face is turned and moved; MW keeps its size and, unturned, its sign', () => {
  fc.assert(
    fc.property(face, angleOfTurn, shift, shift, (points, turn, dx, dy) => {
      const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
      const before = valuesOf(points)
      const turned = valuesOf(
        points.map(([x, y]) => [cos * x - sin * y + dx, sin * x + cos * y + dy]),
      )
      const moved = valuesOf(points.map(([x, y]) => [x + dx, y + dy]))
      for (const [name, value] of before) {
        const size = name === 'MW' ? Math.abs : Number
        expectSame(size(turned.get(name) as number), size(value), name)
        expectSame(moved.get(name) as number, value, name)
      }
    }),
    { numRuns: 25, seed: 7 },
  )
})

it('angles and ratios do not depend on the pixel size, and MW grows with it', () => {
  fc.assert(
    fc.property(face, fc.double({ min: 0.01, max: 1, noNaN: true }), (points, size) => {
      const small = valuesOf(points)
      for (const [name, value] of valuesOf(points, [size, size]))
        expectSame(name === 'MW' ? (value * 0.1) / size : value, small.get(name) as number, name)
    }),
    { numRuns: 25, seed: 8 },
  )
})

it('rates, kappas and agreement do not depend on the order of the images', () => {
  const set = fc.array(fc.tuple(face, face), { minLength: 2, maxLength: 8 })
  fc.assert(
    fc.property(set, (cases) => {
      const order = [...cases.keys()].reverse()
      const result = (keys: readonly number[]) => {
        const at = (k: number) => cases[k] as (typeof cases)[number]
        const { measures } = evaluateClinical({
          predictions: predictionsOf(
            Object.fromEntries(keys.map((k) => [`i${k}`, at(k)[0]])),
            names,
          ),
          annotations: annotationsOf(Object.fromEntries(keys.map((k) => [`i${k}`, at(k)[1]]))),
          bootstrap: { resamples: 0 },
        })
        return measures.flatMap(
          ({ scr, kappa, kappaQuadratic, agreement: { bias, sd, icc21 } }) => [
            scr,
            kappa,
            kappaQuadratic,
            bias,
            sd,
            icc21.value,
          ],
        )
      }
      const [forward, backward] = [result([...cases.keys()]), result(order)]
      for (const [i, value] of forward.entries()) expectEqual(backward[i] as number, value)
    }),
    { numRuns: 25, seed: 9 },
  )
})

it('exchanging prediction and truth turns the bias around and keeps kappa, accuracy and ICC', () => {
  const set = fc.array(fc.tuple(face, face), { minLength: 3, maxLength: 6 })
  fc.assert(
    fc.property(set, (cases) => {
      const side = (s: 0 | 1) => Object.fromEntries(cases.map((pair, i) => [`i${i}`, pair[s]]))
      const result = (predicted: 0 | 1, truth: 0 | 1) =>
        evaluateClinical({
          predictions: predictionsOf(side(predicted), names),
          annotations: annotationsOf(side(truth)),
          bootstrap: { resamples: 0 },
        }).measures
      const back = result(1, 0)
      for (const [i, measure] of result(0, 1).entries()) {
        const other = back[i] as typeof measure
        expectEqual(other.agreement.bias, -measure.agreement.bias)
        expectEqual(other.accuracy, measure.accuracy)
        expectEqual(other.agreement.icc21.value, measure.agreement.icc21.value)
        expectEqual(other.kappa, measure.kappa)
      }
    }),
    { numRuns: 25, seed: 10 },
  )
})
