import { expect, test } from 'vitest'
import { Random } from '#lib/data/random.js'

test('equal seeds give equal numbers, different ones different numbers', () => {
  const draw = (...seed: number[]) => {
    const random = new Random(...seed)
    return Array.from({ length: 5 }, () => random.uniform())
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(draw(1, 0)).not.toEqual(draw(1, 1))
  expect(draw(2 ** 40)).not.toEqual(draw(0))
})

test('normal numbers have mean 0 and variance 1, uniform ones mean 1/2 and variance 1/12', () => {
  const random = new Random(3)
  const moments = (draw: () => number) => {
    const values = Array.from({ length: 40000 }, draw)
    const mean = values.reduce((a, b) => a + b) / values.length
    return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length] as const
  }
  const [mean, variance] = moments(() => random.normal())
  expect(Math.abs(mean)).toBeLessThan(0.02)
  expect(Math.abs(variance - 1)).toBeLessThan(0.03)
  const [middle, spread] = moments(() => random.uniform())
  expect(middle).toBeCloseTo(0.5, 2)
  expect(spread).toBeCloseTo(1 / 12, 2)
})

test('a permutation holds every number once, and every place is equally likely', () => {
  const random = new Random(5)
  expect([...random.permutation(50)].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 50 }, (_, i) => i),
  )
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < 8000; i++) counts[random.permutation(4)[0] as number]! += 1
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(180)
})
