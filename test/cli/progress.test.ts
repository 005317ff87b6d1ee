/** Progress on streams that are no terminal, with a clock made by hand. */

import { expect, test } from 'vitest'
import { formatDuration, Progress } from '#lib/cli/progress.js'

function recorder(): { stream: NodeJS.WriteStream; lines: () => string[] } {
  const written: string[] = []
  const stream = { isTTY: false, write: (text: string) => written.push(text) }
  return {
    stream: stream as unknown as NodeJS.WriteStream,
    lines: () => written.join('').split('\n').slice(0, -1),
  }
}

test('without a terminal a line is printed at the first update, then one an interval, then the last', () => {
  const { stream, lines } = recorder()
  let clock = 0
  const progress = new Progress('Training', { total: 100, interval: 10, stream, now: () => clock })
  for (let done = 1; done <= 100; done++) {
    clock += 300
    progress.update(done, { loss: 1 / done })
  }
  progress.finish()
  expect(lines()).toEqual([
    'Training: 1/100 (1%) | ETA 30s | loss 1',
    'Training: 35/100 (35%) | ETA 20s | loss 0.02857',
    'Training: 69/100 (69%) | ETA 9s | loss 0.01449',
    'Training: 100/100 (100%) | took 30s | loss 0.01',
  ])
})

test('units that an earlier run did count for the percentage, not for the speed', () => {
  const { stream, lines } = recorder()
  let clock = 0
  const progress = new Progress('Training', { total: 100, start: 90, stream, now: () => clock })
  clock = 2000
  progress.update(92)
  expect(lines()).toEqual(['Training: 92/100 (92%) | ETA 8s'])
})

test('a job that stops early shows how far it came', () => {
  const { stream, lines } = recorder()
  const progress = new Progress('Cache', { total: 10, stream, now: () => 0 })
  progress.update(1)
  progress.update(4)
  progress.finish()
  progress.finish()
  expect(lines().at(-1)).toBe('Cache: 4/10 (40%) | ETA 0s')
})

test('durations read as people say them', () => {
  expect([0, 59.4, 60, 185, 3600, 7 * 3600 + 120].map(formatDuration)).toEqual([
    '0s',
    '59s',
    '1m 00s',
    '3m 05s',
    '1h 00m',
    '7h 02m',
  ])
  expect(formatDuration(Number.NaN)).toBe('?')
})
