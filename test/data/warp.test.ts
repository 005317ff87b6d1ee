import { describe, expect, test } from 'vitest'
import { Random } from '#lib/data/random.js'
import { elasticDeviation, latticeFor, splineBasis, Warp } from '#lib/data/warp.js'
import { Affine, type Point } from '#lib/landmarks/geometry.js'

const size = { width: 640, height: 800 }
const lattice = latticeFor(size, { x: 52, y: 52 })
const affine = Affine.about([319.5, 399.5], Affine.rotation(0.1).followedBy(Affine.scaling(0.95)))

test('alpha 500 and sigma 30 displace by 2.7 pixels', () => {
  expect(elasticDeviation(500, 30)).toBeCloseTo(2.715, 2)
})

test('random displacements have the standard deviation asked for', () => {
  const random = new Random(1)
  let [sum, count] = [0, 0]
  for (let i = 0; i < 60; i++) {
    const warp = Warp.random(lattice, Affine.identity, { x: 3, y: 3 }, random)
    for (let x = 20; x < 620; x += 61)
      for (let y = 20; y < 780; y += 61) {
        const [dx, dy] = warp.displacement([x, y])
        sum += dx * dx + dy * dy
        count += 2
      }
  }
  expect(Math.abs(Math.sqrt(sum / count) / 3 - 1)).toBeLessThan(0.06)
})

test('the inverse undoes the map within 1e-8 pixels, also outside the image', () => {
  const random = new Random(2)
  for (let i = 0; i < 20; i++) {
    const warp = Warp.random(lattice, affine, { x: 2.7, y: 2.7 }, random)
    for (const point of [
      [0, 0],
      [639, 799],
      [-30, 400],
      [200.3, 700.9],
    ] as Point[]) {
      const [x, y] = warp.apply(warp.invert(point))
      expect(Math.hypot(x - point[0], y - point[1])).toBeLessThan(1e-8)
    }
  }
})

describe('the sampling lattice', () => {
  /** What the two matrix products compute, for one pixel. */
  function sample(warp: Warp, x: number, y: number): Point {
    const { rows, columns, spacing } = lattice
    const knots = new Float32Array(2 * rows * columns)
    warp.writeSamplingLattice(knots, 0)
    const across = splineBasis(size.width, spacing.x, columns)
    const down = splineBasis(size.height, spacing.y, rows)
    const product = (offset: number) => {
      let sum = 0
      for (let j = 0; j < rows; j++)
        for (let i = 0; i < columns; i++)
          sum +=
            (down[y * rows + j] as number) *
            (across[x * columns + i] as number) *
            (knots[offset + j * columns + i] as number)
      return sum
    }
    return [
      ((product(0) + 1) / 2) * (size.width - 1),
      ((product(rows * columns) + 1) / 2) * (size.height - 1),
    ]
  }

  test('reproduces an affine map', () => {
    for (const [x, y] of [
      [0, 0],
      [639, 799],
      [100, 333],
    ] as Point[]) {
      const expected = affine.apply([x, y])
      const found = sample(new Warp(lattice, affine), x, y)
      expect(Math.hypot(found[0] - expected[0], found[1] - expected[1])).toBeLessThan(1e-3)
    }
  })

  test('is the same map as that of the points, elastic part included', () => {
    const warp = Warp.random(lattice, affine, { x: 2.7, y: 2.7 }, new Random(3))
    for (const [x, y] of [
      [0, 0],
      [639, 799],
      [100, 333],
      [500, 20],
    ] as Point[]) {
      const expected = warp.apply([x, y])
      const found = sample(warp, x, y)
      expect(Math.hypot(found[0] - expected[0], found[1] - expected[1])).toBeLessThan(1e-3)
    }
  })
})
