import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { beforeAll, describe, expect, test } from 'vitest'
import { readCheckpointMetadata } from '#lib/training/checkpoint.js'
import { loadConfig } from '#lib/training/config.js'
import { train } from '#lib/training/trainer.js'
import { eventsOf, runToEnd, syntheticData, temporaryFolder } from './fixtures.js'

const cli = join(import.meta.dirname, '../../dist/cli/index.js')
let data: string
beforeAll(async () => {
  torch.setNumThreads(1)
  data = await syntheticData()
})

describe('a run', () => {
  test('tells what happens, in order, and leaves configuration, environment, metrics and checkpoints', async () => {
    const out = temporaryFolder()
    const events = await runToEnd({ preset: 'tiny', data, out })
    expect(eventsOf(events, 'start')[0]).toMatchObject({
      step: 0,
      total: 8,
      images: 3,
      validationImages: 2,
    })
    expect(eventsOf(events, 'step').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(eventsOf(events, 'validation').map(({ step }) => step)).toEqual([4, 8])
    expect(events.at(-1)).toMatchObject({ type: 'end', step: 8, reason: 'done' })
    expect(loadConfig({ config: join(out, 'config.yaml') })).toEqual(loadConfig({ preset: 'tiny' }))
    const environment = JSON.parse(readFileSync(join(out, 'environment.json'), 'utf8'))
    expect(environment).toMatchObject({ node: process.version, data: { folder: data, images: 5 } })
    const best = await readCheckpointMetadata(join(out, 'checkpoints/best.safetensors'))
    const figures = eventsOf(events, 'validation')
    const lowest = Math.min(...figures.map(({ mre }) => mre))
    expect(best?.best).toEqual({
      step: figures.find(({ mre }) => mre === lowest)?.step,
      mre: lowest,
    })
    expect(best?.progress.step).toBe(best?.best?.step)
  })

  test('learns: on a few images the likelihood rises far above chance', async () => {
    const out = temporaryFolder()
    const set = [
      'train.steps=60',
      'train.lr=5e-3',
      'augmentation=null',
      'train.validation.images=0',
    ]
    const events = await runToEnd({ preset: 'tiny', data, out, set })
    const nll = eventsOf(events, 'step').map((event) => event.nll)
    // The zero-initialised last layer begins with equal chances for all pixels.
    expect(nll[0]).toBeCloseTo(Math.log(32 * 40), 1)
    expect(nll.at(-1)).toBeLessThan(5.5)
  })

  test('holds as many tensors after its tenth step as after its fifth', async () => {
    const set = ['train.steps=12', 'train.validation.images=0', 'train.checkpointEvery=3']
    const counts = new Map<number, number>()
    const out = temporaryFolder()
    for await (const event of train({ preset: 'tiny', data, out, set, readEvery: 1 }))
      if (event.type === 'step') counts.set(event.step, torch.memory().tensors)
    expect(counts.get(10)).toBe(counts.get(5))
  })

  test('frees everything at its end', async () => {
    const before = torch.memory().tensors
    await runToEnd({ preset: 'tiny', data, out: temporaryFolder() })
    expect(torch.memory().tensors).toBe(before)
  })

  test('ends when its time is up, and goes on when it is given more', async () => {
    const out = temporaryFolder()
    const events = await runToEnd({ preset: 'tiny', data, out, set: ['train.minutes=0.0001'] })
    const [end] = eventsOf(events, 'end')
    expect(end?.reason).toBe('time')
    expect(end?.step).toBeLessThan(8)
    const rest = await runToEnd({ out, resume: true, set: ['train.minutes=null'] })
    expect(eventsOf(rest, 'end')[0]).toMatchObject({ reason: 'done', step: 8 })
  })

  test.each(['float32', 'bfloat16'])(
    'that diverges in %s stops with a clear error, and keeps its last good checkpoint',
    async (precision) => {
      const out = temporaryFolder()
      const set = ['train.steps=40', 'train.checkpointEvery=2', 'train.validation.images=0']
      set.push(`train.precision=${precision}`)
      await runToEnd({ preset: 'tiny', data, out, set }, { stopAfter: 2 })
      const config = join(out, 'config.yaml')
      writeFileSync(config, readFileSync(config, 'utf8').replace('lr: 0.001', 'lr: 1e30'))
      await expect(runToEnd({ out, resume: true })).rejects.toMatchObject({
        code: 'ERR_DIVERGED',
        message: expect.stringContaining('lower train.lr'),
      })
      const kept = await readCheckpointMetadata(join(out, 'checkpoints/last.safetensors'))
      expect(kept?.progress.step).toBeLessThan(10)
    },
  )
})

describe('what cannot be trained on is refused with its name:', () => {
  const refused = (folder: string, set: string[] = []) =>
    runToEnd({ preset: 'tiny', data: folder, out: temporaryFolder(), set })

  test('a folder without images', async () => {
    await expect(refused('/nowhere')).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('/nowhere'),
    })
  })

  test('images without annotations', async () => {
    const bare = await syntheticData()
    rmSync(join(bare, 'AnnotationsByMD'), { recursive: true })
    await expect(refused(bare)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('AnnotationsByMD'),
    })
  })

  test('a damaged image', async () => {
    const broken = await syntheticData()
    const file = join(broken, 'RawImage/TrainingData/002.png')
    writeFileSync(file, readFileSync(file).subarray(0, 4000))
    await expect(refused(broken)).rejects.toMatchObject({
      code: 'ERR_IMAGE',
      message: expect.stringContaining('002.png'),
    })
  })

  test('more images held out than there are', async () => {
    await expect(refused(data, ['train.validation.images=5'])).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('nothing to train on'),
    })
  })

  test('a device that there is not', async () => {
    const out = temporaryFolder()
    await expect(runToEnd({ preset: 'tiny', data, out, device: 'tpu' })).rejects.toMatchObject({
      code: 'ERR_CONFIG',
    })
  })
})

test('ctrl-C saves and says how to go on', async () => {
  const out = temporaryFolder()
  const words = ['train', '--preset', 'tiny', '--data', data, '--out', out]
  const child = spawn(process.execPath, [cli, ...words, '--set', 'train.steps=100000'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // The first line of progress comes with the first step.
    if (!stderr.includes('training:') && (stderr + text).includes('training:')) child.kill('SIGINT')
    stderr += text
  })
  const [status] = await once(child, 'exit')
  expect(stderr).toContain('--resume')
  expect(status).toBe(130)
  const saved = await readCheckpointMetadata(join(out, 'checkpoints/last.safetensors'))
  expect(saved?.progress.step).toBeGreaterThan(0)
})
