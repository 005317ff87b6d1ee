import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { beforeAll, describe, expect, test } from 'vitest'
import { train } from '#lib/training/trainer.js'
import {
  checkpointContent,
  eventsOf,
  runToEnd,
  syntheticData,
  temporaryFolder,
} from './fixtures.js'

let data: string
beforeAll(async () => {
  // Sums of several threads come in any order; the promise of equal bits is for one.
  torch.setNumThreads(1)
  data = await syntheticData()
})

const last = (out: string) => join(out, 'checkpoints', 'last.safetensors')

async function withInterruptions(set: string[], stops: number[]) {
  const [whole, parts] = [temporaryFolder(), temporaryFolder()]
  const options = { preset: 'tiny', data, set }
  await runToEnd({ ...options, out: whole })
  for (const stopAfter of stops) {
    const events = await runToEnd({ ...options, out: parts, resume: true }, { stopAfter })
    expect(eventsOf(events, 'end')[0]?.reason).toBe('aborted')
  }
  const rest = await runToEnd({ ...options, out: parts, resume: true })
  expect(eventsOf(rest, 'end')[0]?.reason).toBe('done')
  return { whole, parts, rest }
}

describe('a run that was interrupted and resumed', () => {
  test('ends with the same bits as one that was not: weights, averages, optimiser, random states, position', async () => {
    const { whole, parts, rest } = await withInterruptions([], [1, 4])
    expect(eventsOf(rest, 'start')[0]?.step).toBeGreaterThanOrEqual(4)
    const [a, b] = await Promise.all([whole, parts].map((out) => checkpointContent(last(out))))
    expect(Object.keys(a?.bytes ?? {})).toEqual(
      expect.arrayContaining([
        'model.out.2.weight',
        'ema.out.2.weight',
        'optim.out.2.weight.exp_avg',
      ]),
    )
    expect(b).toEqual(a)
  })

  test('has the same metrics, each line once', async () => {
    const { whole, parts } = await withInterruptions(['train.logEvery=1'], [3])
    const figures = (out: string) =>
      readFileSync(join(out, 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => {
          const { seconds: _s, imagesPerSecond: _i, ...rest } = JSON.parse(line)
          return rest
        })
    expect(figures(parts)).toEqual(figures(whole))
    expect(figures(whole).filter(({ type }) => type === 'train')).toHaveLength(8)
    expect(figures(whole).filter(({ type }) => type === 'validation')).toHaveLength(2)
  })

  test('is the same within an accumulation too, whose batches are done again', async () => {
    const { whole, parts } = await withInterruptions(
      ['train.accumulate=4', 'train.steps=12', 'train.timestepSampling.kind=high'],
      [5],
    )
    const [a, b] = await Promise.all([whole, parts].map((out) => checkpointContent(last(out))))
    expect(b).toEqual(a)
  })

  test.each([
    ['a step is one program', []],
    ['it is two', ['train.accumulate=2']],
  ])('leaves out what is queued when it is interrupted, and does it later; %s', async (_, more) => {
    const set = ['train.steps=30', 'train.validation.images=0', 'train.checkpointEvery=99', ...more]
    const [whole, parts] = [temporaryFolder(), temporaryFolder()]
    const options = { preset: 'tiny', data, set, readEvery: 10 }
    await runToEnd({ ...options, out: whole })
    // Aborted when steps to the 22nd are queued: as soon as ten are read, ten more are.
    const controller = new AbortController()
    const seen: number[] = []
    let end: unknown
    for await (const event of train({ ...options, out: parts }, { signal: controller.signal })) {
      if (event.type === 'step') seen.push(event.step)
      if (event.type === 'step' && event.step === 10) setImmediate(() => controller.abort())
      if (event.type === 'end') end = event
    }
    const last = seen.at(-1) as number
    expect(seen).toEqual(Array.from({ length: last }, (_, i) => i + 1))
    expect(last).toBeLessThan(22)
    expect(end).toMatchObject({ step: last, reason: 'aborted' })
    const rest = await runToEnd({ ...options, out: parts, resume: true })
    expect(eventsOf(rest, 'end')[0]?.step).toBe(30)
    const file = (out: string) => checkpointContent(join(out, 'checkpoints', 'last.safetensors'))
    expect(await file(parts)).toEqual(await file(whole))
  })

  test.each(['none', 'epsilon'])('is the same with objective %s', async (objective) => {
    const { whole, parts } = await withInterruptions(
      [`diffusion.objective=${objective}`, 'train.ema=null', 'train.accumulate={0: 1, 1: 2}'],
      [2],
    )
    const [a, b] = await Promise.all([whole, parts].map((out) => checkpointContent(last(out))))
    expect(b).toEqual(a)
    expect(Object.keys(a?.bytes ?? {}).some((name) => name.startsWith('ema.'))).toBe(false)
  })

  test('may be given more steps, but not another model or other data', async () => {
    const out = temporaryFolder()
    await runToEnd({ preset: 'tiny', data, out, set: ['train.steps=2'] })
    const events = await runToEnd({ out, resume: true, set: ['train.steps=4'] })
    expect(eventsOf(events, 'start')[0]).toMatchObject({ step: 2, total: 4 })
    expect(eventsOf(events, 'end')[0]?.step).toBe(4)
    await expect(runToEnd({ out, resume: true, set: ['model.heads=1'] })).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('model.heads'),
    })
    const other = await syntheticData()
    const { rename } = await import('node:fs/promises')
    await rename(
      join(other, 'RawImage/TrainingData/001.png'),
      join(other, 'RawImage/TrainingData/099.png'),
    )
    for (const doctor of ['400_senior', '400_junior'])
      await rename(
        join(other, 'AnnotationsByMD', doctor, '001.txt'),
        join(other, 'AnnotationsByMD', doctor, '099.txt'),
      )
    await expect(runToEnd({ out, resume: true, data: other })).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('not the images and points'),
    })
  })

  test('begins again as it was when it ended before its first checkpoint, and needs a run to go on with', async () => {
    const out = temporaryFolder()
    const set = ['train.steps=2', 'train.seed=9']
    for await (const event of train({ preset: 'tiny', data, out, set }))
      if (event.type === 'start') break
    const events = await runToEnd({ out, resume: true })
    expect(eventsOf(events, 'start')[0]?.config.train).toMatchObject({ steps: 2, seed: 9 })
    expect(eventsOf(events, 'end')[0]).toMatchObject({ step: 2, reason: 'done' })
    await expect(runToEnd({ out: temporaryFolder(), data, resume: true })).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('no run to go on with'),
    })
  })

  test('is never begun over by accident', async () => {
    const out = temporaryFolder()
    await runToEnd({ preset: 'tiny', data, out, set: ['train.steps=1'] })
    await expect(runToEnd({ preset: 'tiny', data, out })).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('--resume'),
    })
  })
})

test('two runs with one seed are equal, and two seeds are not', async () => {
  const outs = [1, 1, 2].map((seed) => ({ seed, out: temporaryFolder() }))
  for (const { seed, out } of outs)
    await runToEnd({ preset: 'tiny', data, out, seed, set: ['train.steps=3'] })
  const [a, b, c] = await Promise.all(outs.map(({ out }) => checkpointContent(last(out))))
  expect(b).toEqual(a)
  expect(c?.bytes['model.out.2.weight']).not.toBe(a?.bytes['model.out.2.weight'])
})
