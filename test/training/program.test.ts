/** Training as recorded programs against training op by op, and losses read together against one by one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  checkpointContent,
  eventsOf,
  runToEnd,
  syntheticData,
  temporaryFolder,
} from './fixtures.js'

let data: string
beforeAll(async () => {
  // Sums of several threads come in any order; equal bits are for one.
  torch.setNumThreads(1)
  data = await syntheticData()
})

const variants: [string, string[]][] = [
  ['with warm-up, dropout, clipping and averages', ['train.steps=10']],
  [
    'with accumulation that changes, and a schedule',
    ['train.accumulate={0: 1, 1: 2, 2: 3}', 'train.steps=12'],
  ],
  ['with late times drawn more often', ['train.timestepSampling.kind=high', 'train.steps=6']],
  ['with the last time drawn often', ['train.timestepSampling.kind=last', 'train.clipNorm=null']],
  ['of the noise', ['diffusion.objective=epsilon', 'train.ema=null', 'augmentation=null']],
  ['in bfloat16', ['train.precision=bfloat16']],
]

describe('a training step as a program', () => {
  test.each(variants)('%s gives the bits of one that runs op by op', async (_, set) => {
    const [recorded, eager] = [temporaryFolder(), temporaryFolder()]
    const options = { preset: 'tiny', data, set: [...set, 'train.validation.images=0'] }
    const events = await runToEnd({ ...options, out: recorded })
    const reference = await runToEnd({ ...options, out: eager, eager: true })
    const [end] = eventsOf(events, 'end')
    expect(end?.programs?.replayed).toBeGreaterThan(0)
    const { recorded: first = 0, replayed = 0, plain = 0 } = end?.programs ?? {}
    expect(first + replayed + plain).toBe(end?.step)
    // Nothing else stands against a graph of a GPU.
    expect(end?.programs?.graph).toBe('none: its tensors are on the CPU')
    expect(eventsOf(reference, 'end')[0]?.programs).toBeNull()
    const losses = (all: Parameters<typeof eventsOf>[0]) =>
      eventsOf(all, 'step').map(({ step, loss, nll, mse, lr }) => ({ step, loss, nll, mse, lr }))
    expect(losses(events)).toEqual(losses(reference))
    const content = async (out: string) => {
      const { bytes } = await checkpointContent(join(out, 'checkpoints', 'last.safetensors'))
      return bytes
    }
    expect(await content(recorded)).toEqual(await content(eager))
  })
})

test.each([
  ['four at a time', 4],
  ['as many together as it takes', undefined],
])(
  'losses that are read %s are those that are read at each step, and so are the logged means',
  async (_, readEvery) => {
    const set = ['train.steps=11', 'train.logEvery=3', 'train.checkpointEvery=5']
    const options = { preset: 'tiny', data, set: [...set, 'train.validation.images=0'] }
    const [each, together] = [temporaryFolder(), temporaryFolder()]
    const wanted = await runToEnd({ ...options, out: each })
    const events = await runToEnd({ ...options, out: together, readEvery })
    const steps = (all: Parameters<typeof eventsOf>[0]) =>
      eventsOf(all, 'step').map(({ imagesPerSecond: _, ...rest }) => rest)
    expect(steps(events)).toEqual(steps(wanted))
    expect(steps(events)).toHaveLength(11)
    // Everything before a checkpoint has been looked at.
    const before = (at: number) =>
      events.slice(
        0,
        events.findIndex((event) => event.type === 'checkpoint' && event.step === at),
      )
    expect(steps(before(5))).toHaveLength(5)
    const lines = (out: string) =>
      readFileSync(join(out, 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map(({ step, loss, nll, mse, lr }) => ({ step, loss, nll, mse, lr }))
    expect(lines(together)).toEqual(lines(each))
  },
)
