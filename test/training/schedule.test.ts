import { expect, test } from 'vitest'
import { loadConfig } from '#lib/training/config.js'
import { accumulation, learningRate, totalSteps } from '#lib/training/schedule.js'

const paper = loadConfig({ preset: 'paper' }).train

test("the paper's 120 epochs of 150 images at batch 1 are 18 000 steps", () => {
  expect(totalSteps(paper, 150)).toBe(18_000)
})

test('steps replace epochs', () => {
  expect(totalSteps({ ...paper, steps: 7 }, 150)).toBe(7)
})

test('the learning rate rises in the warm-up and falls along half a cosine to zero', () => {
  const train = { ...paper, lr: 1, warmupSteps: 4, schedule: 'cosine' as const }
  const rate = learningRate(train, 104)
  expect([0, 1, 2, 3].map(rate)).toEqual([0.25, 0.5, 0.75, 1])
  expect(rate(54)).toBeCloseTo(0.5, 10)
  expect(rate(104)).toBeCloseTo(0, 10)
})

test('a schedule of accumulation holds until its next epoch', () => {
  const schedule = { 0: 32, 4: 16, 8: 8 }
  expect([0, 3, 4, 7, 8, 100].map((epoch) => accumulation(schedule, epoch))).toEqual([
    32, 32, 16, 16, 8, 8,
  ])
  expect(accumulation({ 2: 4 }, 1)).toBe(1)
})
