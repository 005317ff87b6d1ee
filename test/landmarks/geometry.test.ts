import { describe, expect, test } from 'vitest'
import { Affine, fitCanvas, isInside, type Point, paddedSize } from '#lib/landmarks/geometry.js'

const close = (actual: Point, expected: Point, digits = 9) => {
  expect(actual[0]).toBeCloseTo(expected[0], digits)
  expect(actual[1]).toBeCloseTo(expected[1], digits)
}

describe('Affine', () => {
  test('followedBy applies the receiver first', () => {
    const map = Affine.scaling(2).followedBy(Affine.translation(1, 0))
    close(map.apply([3, 4]), [7, 8])
  })

  test('a positive rotation turns x towards y, which is clockwise on a screen', () => {
    close(Affine.rotation(Math.PI / 2).apply([1, 0]), [0, 1])
  })

  test('about keeps the centre where it is', () => {
    const map = Affine.about([5, 7], Affine.rotation(1).followedBy(Affine.scaling(3, 2)))
    close(map.apply([5, 7]), [5, 7])
  })

  test('a map composed with its inverse returns every point within 1e-9 pixels', () => {
    const map = fitCanvas({ width: 1935, height: 2400 }, { width: 160, height: 200 })
      .followedBy(Affine.about([79.5, 99.5], Affine.rotation(0.2)))
      .followedBy(Affine.shear(0.1, -0.05))
    const back = map.inverse()
    for (const point of [
      [0, 0],
      [1934, 2399],
      [800.5, 1234.25],
    ] as Point[])
      close(back.apply(map.apply(point)), point)
  })

  test('a map that flattens the plane has no inverse', () => {
    expect(() => Affine.scaling(1, 0).inverse()).toThrow(RangeError)
  })

  test('can be returned from an async function, as it is not a thenable', async () => {
    expect(await Promise.resolve(Affine.identity)).toBe(Affine.identity)
  })
})

describe('fitCanvas', () => {
  const isbi = { width: 1935, height: 2400 }

  test("pads ISBI's 1935 x 2400 to 2419 rows for 640 x 800, as McCouat's code does", () => {
    expect(paddedSize(isbi, { width: 640, height: 800 })).toEqual({ width: 1935, height: 2419 })
  })

  test('scales both axes by 1 / 3.0234 within 0.02 %', () => {
    const map = fitCanvas(isbi, { width: 640, height: 800 })
    expect(map.a).toBeCloseTo(1 / 3.0234375, 12)
    expect(Math.abs(map.e / map.a - 1)).toBeLessThan(2e-4)
  })

  test('sends outer pixel edges to outer pixel edges', () => {
    const map = fitCanvas({ width: 100, height: 200 }, { width: 50, height: 100 })
    close(map.apply([-0.5, -0.5]), [-0.5, -0.5])
    close(map.apply([99.5, 199.5]), [49.5, 99.5])
    close(map.apply([0.5, 0.5]), [0, 0])
  })

  test('pads a wide image at the bottom and a tall one at the right', () => {
    const canvas = { width: 80, height: 100 }
    expect(paddedSize({ width: 800, height: 500 }, canvas)).toEqual({ width: 800, height: 1000 })
    expect(paddedSize({ width: 100, height: 1000 }, canvas)).toEqual({ width: 800, height: 1000 })
  })

  test('a round trip of whole pixels over the canvas stays below 0.01 pixels', () => {
    const map = fitCanvas(isbi, { width: 160, height: 200 })
    const back = map.inverse()
    for (let x = 0; x < 1935; x += 113)
      for (let y = 0; y < 2400; y += 127) {
        const [u, v] = back.apply(map.apply([x, y]))
        expect(Math.hypot(u - x, v - y)).toBeLessThan(0.01)
      }
  })
})

test('isInside accepts the outer half of the border pixels and nothing beyond', () => {
  const size = { width: 10, height: 20 }
  expect(isInside([-0.5, 19.49], size)).toBe(true)
  expect(isInside([9.5, 5], size)).toBe(false)
  expect(isInside([Number.NaN, 5], size)).toBe(false)
})
