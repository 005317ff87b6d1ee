/** Several batches are read together, and each is told its own figures. */
import { afterEach, expect, test, vi } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { Readings, type StepOutcome } from '#lib/training/readings.js'

let now = 0
afterEach(() => vi.restoreAllMocks())

/** Runs 40 batches that take so long each; what they came to, and how many were read together at the end. */
async function run(readings: Readings, milliseconds: number) {
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  readings.pause()
  const outcomes: StepOutcome[] = []
  const waiting: Promise<StepOutcome>[] = []
  for (let i = 0; i < 40; i++) {
    now += milliseconds
    waiting.push(readings.add(torch.tensor([i, 2 * i, 3 * i])))
    while (waiting.length > readings.together) {
      outcomes.push((await waiting.shift()) as StepOutcome)
    }
  }
  readings.flush()
  outcomes.push(...(await Promise.all(waiting)))
  return { outcomes, together: readings.together }
}

test.each([
  ['quick batches sixteen together', null, 1, 16],
  ['slow ones as many as take five seconds', null, 600, 8],
  ['very slow ones one by one', null, 60_000, 1],
  ['as many as was asked for', 7, 600, 7],
])('%s', async (_, every, milliseconds, expected) => {
  const before = torch.memory().tensors
  const { outcomes, together } = await run(new Readings(every), milliseconds)
  expect(together).toBe(expected)
  expect(outcomes.map(({ figures }) => figures)).toEqual(
    Array.from({ length: 40 }, (_, i) => ({ loss: i, nll: 2 * i, mse: 3 * i })),
  )
  const seconds = outcomes.reduce((sum, { seconds }) => sum + seconds, 0)
  expect(seconds).toBeCloseTo((40 * milliseconds) / 1000, 6)
  expect(torch.memory().tensors).toBe(before)
})

test('a batch that failed does not wait for the others, nor take those before it along', async () => {
  const readings = new Readings(10)
  const pick = (from: bigint) =>
    torch.ones([3]).indexSelect(0, torch.tensor(BigInt64Array.of(from, 0n, 0n)))
  // The second fails when it runs, as its shape is known already. Nobody asks for them to be read.
  const all = [0n, 5n, 0n].map((from) => readings.add(pick(from)))
  const outcomes = await Promise.allSettled(all)
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
})

test('a batch that is no number does not wait for the others, and is the last one read', async () => {
  const readings = new Readings(10)
  const all = [1, Number.NaN, 4].map((loss) => readings.add(torch.tensor([loss, 2, 3])))
  const [first, second, third] = await Promise.allSettled(all)
  expect(first).toMatchObject({ value: { figures: { loss: 1, nll: 2, mse: 3 } } })
  expect(second).toMatchObject({ value: { figures: { loss: Number.NaN } } })
  expect(third).toMatchObject({ reason: { code: 'ERR_DIVERGED' } })
  const next = readings.add(torch.tensor([5, 6, 7]))
  readings.flush()
  expect((await next).figures.mse).toBe(7)
})
