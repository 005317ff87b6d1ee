import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { beforeAll, describe, expect, test } from 'vitest'
import { readSafetensors } from '#lib/torch/files/safetensors.js'
import { readCheckpointMetadata } from '#lib/training/checkpoint.js'
import { freePort } from '../torch/distributed/ranks.js'
import { checkpointContent, runToEnd, syntheticData, temporaryFolder } from './fixtures.js'

const cli = join(import.meta.dirname, '../../dist/cli/index.js')
let data: string
beforeAll(async () => {
  torch.setNumThreads(1)
  data = await syntheticData()
})

const last = (out: string) => join(out, 'checkpoints', 'last.safetensors')

/** A command line under way. */
function start(words: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [cli, 'train', ...words], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const run = { child, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    run.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    run.stderr += text
  })
  const ended = once(child, 'close').then(([status]) => ({
    status: status as number | null,
    stderr: run.stderr,
    stdout: run.stdout,
  }))
  const says = async (text: string) => {
    while (!run.stderr.includes(text)) {
      if (child.exitCode !== null) throw new Error(`ended early: ${run.stderr}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  return { child, ended, says }
}

/** Two ranks as an outer launcher starts them. Only the first is told what to train. */
async function startTwo(words: string[]) {
  const port = await freePort()
  return [0, 1].map((rank) =>
    start(rank === 0 ? words : ['--preset', 'tiny', '--out', '/nowhere'], {
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(port),
      RANK: String(rank),
      LOCAL_RANK: String(rank),
      WORLD_SIZE: '2',
    }),
  )
}

/** All tensors of a checkpoint are float32. */
function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer)
}

/** Greatest difference between equally named tensors. */
async function differences(a: string, b: string): Promise<Map<string, number>> {
  const [first, second] = [(await readSafetensors(a)).tensors, (await readSafetensors(b)).tensors]
  expect([...second.keys()]).toEqual([...first.keys()])
  const greatest = (x: Float32Array, y: Float32Array) =>
    x.reduce((most, value, i) => Math.max(most, Math.abs(value - (y[i] ?? Number.NaN))), 0)
  return new Map(
    [...first].map(([name, { data: bytes }]) => [
      name,
      greatest(floats(bytes), floats(second.get(name)?.data ?? new Uint8Array())),
    ]),
  )
}

function figures(out: string, type: 'train' | 'validation') {
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line)).filter((line) => line.type === type)
}

describe('two processes', () => {
  test('with accumulation 2 equal one with accumulation 4 over 20 updates: weights, averages, moments, losses, validation', async () => {
    const [one, two] = [temporaryFolder(), temporaryFolder()]
    const settings = ['train.steps=80', 'train.logEvery=4', 'train.validation.every=40']
    // Where the true gradient is zero (a bias before a normalisation) Adam divides noise by noise; this epsilon
    // is above the noise.
    settings.push('train.eps=1e-4')
    await runToEnd({ preset: 'tiny', data, out: one, set: [...settings, 'train.accumulate=4'] })
    const set = [...settings, 'train.accumulate=2'].flatMap((setting) => ['--set', setting])
    const words = ['--preset', 'tiny', '--data', data, '--out', two, ...set]
    const { status, stderr } = await start([...words, '--processes', '2']).ended
    expect(stderr).not.toContain('[rank 1]')
    expect(status).toBe(0)
    const off = await differences(last(one), last(two))
    expect(off.size).toBeGreaterThan(200)
    for (const [name, difference] of off) expect([name, difference < 1e-6]).toEqual([name, true])
    const [first, second] = [figures(one, 'train'), figures(two, 'train')]
    expect(second.map(({ step }) => step)).toEqual(first.map(({ step }) => step))
    expect(first).toHaveLength(20)
    for (const [i, { loss, lr }] of first.entries()) {
      expect(second[i].loss).toBeCloseTo(loss, 5)
      expect(second[i].lr).toBe(lr)
    }
    const [alone, shared] = [figures(one, 'validation'), figures(two, 'validation')]
    expect(shared.map(({ step, points }) => [step, points])).toEqual(
      alone.map(({ step, points }) => [step, points]),
    )
    for (const [i, { mre }] of alone.entries()) expect(shared[i].mre).toBeCloseTo(mre, 3)
  })

  test('whose steps are programs give the bits of those that run op by op', async () => {
    const set = ['train.steps=24', 'train.validation.images=0', 'train.accumulate={0: 1, 1: 2}']
    const words = ['--preset', 'tiny', '--data', data, '--processes', '2', '--json']
    for (const setting of set) words.push('--set', setting)
    const run = async (...more: string[]) => {
      const out = temporaryFolder()
      const { status, stdout } = await start([...words, '--out', out, ...more]).ended
      expect(status).toBe(0)
      const { bytes } = await checkpointContent(last(out))
      return { bytes, programs: JSON.parse(stdout).programs }
    }
    const recorded = await run()
    const eager = await run('--eager')
    expect(recorded.programs.replayed).toBeGreaterThan(3)
    expect(eager.programs).toBeNull()
    expect(recorded.bytes).toEqual(eager.bytes)
  })

  test('stop and save once on ctrl-C, and go on to the same bits', async () => {
    const [whole, parts] = [temporaryFolder(), temporaryFolder()]
    const words = ['--preset', 'tiny', '--data', data, '--processes', '2']
    const steps = (count: number) => ['--set', `train.steps=${count}`]
    const run = start([...words, '--out', parts, ...steps(100_000)])
    await run.says('training:')
    run.child.kill('SIGINT')
    const { status, stderr } = await run.ended
    expect(status).toBe(130)
    expect(stderr.match(/go on with: train/g)).toHaveLength(1)
    const saved = (await readCheckpointMetadata(last(parts)))?.progress.step ?? 0
    expect(saved).toBeGreaterThan(0)
    expect(saved % 2).toBe(0)
    const end = steps(saved + 6)
    const all = [
      start(['--out', parts, '--resume', '--processes', '2', ...end]),
      start([...words, '--out', whole, ...end]),
    ]
    for (const { ended } of all) expect((await ended).status).toBe(0)
    expect(await checkpointContent(last(parts))).toEqual(await checkpointContent(last(whole)))
  })

  test('end when one is killed, which is named, and go on from the last checkpoint', async () => {
    const out = temporaryFolder()
    const set = ['--set', 'train.steps=100000', '--set', 'train.checkpointEvery=10']
    const [first, second] = await startTwo([
      '--preset',
      'tiny',
      '--data',
      data,
      '--out',
      out,
      ...set,
    ])
    await first?.says('training:')
    second?.child.kill('SIGKILL')
    const killed = performance.now()
    const end = await first?.ended
    expect((performance.now() - killed) / 1000).toBeLessThan(30)
    expect(end?.status).toBe(1)
    expect(end?.stderr).toMatch(/rank 1 died/)
    const saved = (await readCheckpointMetadata(last(out)).catch(() => null))?.progress.step ?? 0
    const more = ['--set', `train.steps=${saved + 4}`]
    const resumed = await startTwo([
      '--preset',
      'tiny',
      '--data',
      data,
      '--out',
      out,
      '--resume',
      ...more,
    ])
    for (const { ended } of resumed) expect((await ended).status).toBe(0)
    expect((await readCheckpointMetadata(last(out)))?.progress.step).toBe(saved + 4)
  })

  test('save and end when the process that launched them is killed', async () => {
    const out = temporaryFolder()
    const set = ['--set', 'train.steps=100000', '--set', 'train.checkpointEvery=100000']
    const words = ['--preset', 'tiny', '--data', data, '--out', out, '--processes', '2', ...set]
    const run = start(words)
    await run.says('training:')
    run.child.kill('SIGKILL')
    // The ranks hold the pipe that `ended` waits for.
    expect((await run.ended).stderr).toContain('Saved at step')
    expect((await readCheckpointMetadata(last(out)))?.progress.step).toBeGreaterThan(0)
  })

  test('end with the reason of the one that fails', async () => {
    const ranks = await startTwo([
      '--preset',
      'tiny',
      '--data',
      '/nowhere',
      '--out',
      temporaryFolder(),
    ])
    const [first, second] = await Promise.all(ranks.map(({ ended }) => ended))
    expect(first?.status).toBe(1)
    expect(first?.stderr).toContain('/nowhere')
    expect(second?.status).toBe(1)
    expect(second?.stderr).toMatch(/rank 0 failed: .*\/nowhere/)
  })

  test('are refused below another launcher, and hostile variables with their names', async () => {
    const words = ['--preset', 'tiny', '--data', data, '--out', temporaryFolder()]
    const inner = await start([...words, '--processes', '2'], { WORLD_SIZE: '2' }).ended
    expect([inner.status, inner.stderr]).toEqual([2, expect.stringContaining('WORLD_SIZE')])
    const hostile = await start(words, { WORLD_SIZE: '2', RANK: '7' }).ended
    expect([hostile.status, hostile.stderr]).toEqual([1, expect.stringContaining('RANK')])
  })
})
