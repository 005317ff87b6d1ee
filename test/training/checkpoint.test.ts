import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { Detector } from '#lib/inference/detector.js'
import { readCheckpoint, readCheckpointMetadata } from '#lib/training/checkpoint.js'
import { runToEnd, syntheticData, temporaryFolder } from './fixtures.js'

const cli = join(import.meta.dirname, '../../dist/cli/index.js')
const last = (out: string) => join(out, 'checkpoints', 'last.safetensors')

let data: string
let finished: string
beforeAll(async () => {
  data = await syntheticData()
  finished = temporaryFolder()
  await runToEnd({ preset: 'tiny', data, out: finished, set: ['train.steps=2'] })
})

test('a checkpoint says what it is without its tensors being read', async () => {
  const metadata = await readCheckpointMetadata(last(finished))
  expect(metadata?.progress.step).toBe(2)
  expect(metadata?.config.data).toMatchObject({ width: 32, height: 40 })
})

test.each([0.99, 0.5, 0.001])(
  'a checkpoint cut to %d of its length is refused by name',
  async (share) => {
    const file = join(temporaryFolder(), 'cut.safetensors')
    copyFileSync(last(finished), file)
    truncateSync(file, Math.floor(readFileSync(file).length * share))
    const refusal = { code: 'ERR_CHECKPOINT', message: expect.stringContaining('cut.safetensors') }
    await expect(readCheckpoint(file)).rejects.toMatchObject(refusal)
    await expect(Detector.load(file)).rejects.toMatchObject(refusal)
  },
)

test('a checkpoint of another model is refused with the names that differ', async () => {
  const config = { preset: 'tiny', set: ['model.attention=[]'] }
  await expect(Detector.load({ ...config, weights: last(finished) })).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringMatching(/last\.safetensors.*unexpected/s),
  })
})

test('a run whose process is killed again and again, also while it writes, can always go on', async () => {
  const out = temporaryFolder()
  const words = ['train', '--preset', 'tiny', '--data', data, '--out', out, '--resume']
  const set = ['train.steps=100000', 'train.checkpointEvery=1', 'train.validation.images=0']
  const start = (): ChildProcess =>
    spawn(process.execPath, [cli, ...words, ...set.flatMap((s) => ['--set', s])], {
      stdio: 'ignore',
      env: { ...process.env, OMP_NUM_THREADS: '1', LANDMARK_DIFFUSION_NICE: '0' },
    })
  let step = 0
  for (const delay of [0, 4, 9, 15]) {
    const child = start()
    const exit = once(child, 'exit')
    // Until it has gone on for at least one checkpoint, and then a moment that falls anywhere in the next ones.
    for (;;) {
      const metadata = await readCheckpointMetadata(last(out)).catch(() => null)
      if (metadata && metadata.progress.step > step) break
      if (child.exitCode !== null) throw new Error(`the run ended with ${child.exitCode}`)
      await sleep(20)
    }
    await sleep(delay)
    child.kill('SIGKILL')
    await exit
    const { metadata, tensors } = await readCheckpoint(last(out))
    for (const tensor of Object.values(tensors)) tensor.dispose()
    expect(metadata.progress.step).toBeGreaterThan(step)
    step = metadata.progress.step
  }
}, 240_000)

test('a full disk ends the run with one clear sentence and leaves the checkpoint before it', async () => {
  const out = temporaryFolder()
  await runToEnd({ preset: 'tiny', data, out, set: ['train.steps=2'] })
  const before = readFileSync(last(out))
  // A limit on the size of files stands in for the full disk; both fail in the same write.
  const command = `ulimit -f 200; exec "${process.execPath}" "${cli}" train --out "${out}" --resume --set train.steps=4`
  const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' })
  expect(stderr).toMatch(
    /checkpoints\/\w+\.safetensors.*could not be written.*untouched.*--resume/s,
  )
  expect(stderr).not.toContain('    at ')
  expect(status).toBe(1)
  expect(readFileSync(last(out)).equals(before)).toBe(true)
})

test('a file with weights but without a run is no checkpoint', async () => {
  const file = join(temporaryFolder(), 'weights.safetensors')
  const header = Buffer.from('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  writeFileSync(file, Buffer.concat([length, header, Buffer.alloc(4)]))
  await expect(readCheckpoint(file)).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringContaining('is not a checkpoint of a training run'),
  })
})
