/** A run whose memory is taken away in the middle of it, for real: by a limit on the address space of its process. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { beforeAll, expect, test } from 'vitest'
import { readCheckpointMetadata } from '#lib/training/checkpoint.js'
import { checkpointContent, runToEnd, syntheticData, temporaryFolder } from './fixtures.js'

let data: string
beforeAll(async () => {
  torch.setNumThreads(1)
  data = await syntheticData()
})

/** A step of these takes some 200 MiB. */
const set = ['data.width=128', 'data.height=160', 'model.attention=[]', 'train.batchSize=4']
set.push('train.checkpointEvery=2', 'train.steps=7', 'train.validation.images=0')

/**
 * After step 3, when nothing is under way, the allocator gives back what it keeps between steps, and the process may
 * have no more than it has then, and a little for JavaScript.
 */
const script = `
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { train } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
torch.setNumThreads(1)
const options = JSON.parse(process.argv[1])
const limit = async () => {
  await torch.synchronize()
  torch.emptyCache()
  await torch.synchronize()
  const kibibytes = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
  spawnSync('prlimit', ['--pid', String(process.pid), '--as=' + (kibibytes * 1024 + 40 * 2 ** 20)])
}
try {
  for await (const event of train(options)) if (event.type === 'step' && event.step === 3) await limit()
} catch ({ code, message }) {
  console.log(JSON.stringify({ code, message }))
}
`

const canLimit = spawnSync('prlimit', ['--version']).status === 0

test.skipIf(!canLimit)(
  `that runs out of memory says so, keeps its checkpoint, and goes on to the same bits${canLimit ? '' : ' (skipped: there is no prlimit)'}`,
  async () => {
    const [stopped, whole] = [temporaryFolder(), temporaryFolder()]
    const options = { preset: 'tiny', data, set }
    const words = [
      '--input-type=module',
      '-e',
      script,
      JSON.stringify({ ...options, out: stopped }),
    ]
    const cwd = join(import.meta.dirname, '../..')
    const { stdout, stderr, status } = spawnSync(process.execPath, words, { cwd, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
    const { code, message } = JSON.parse(stdout)
    expect(code).toBe('ERR_OUT_OF_MEMORY')
    expect(message).toMatch(/Out of memory on cpu: \d+ MiB were wanted, \d+ MiB were free \(.*::/)
    expect(message).toMatch(/stopped at step \d.*untouched: go on with --resume.*train\.batchSize/)
    const free = Number(/(\d+) MiB were free/.exec(message)?.[1])
    expect(free).toBeLessThan(64)
    const last = join(stopped, 'checkpoints', 'last.safetensors')
    const saved = (await readCheckpointMetadata(last))?.progress.step
    expect([2, 4]).toContain(saved)
    await runToEnd({ ...options, out: stopped, resume: true })
    await runToEnd({ ...options, out: whole })
    const wanted = await checkpointContent(join(whole, 'checkpoints', 'last.safetensors'))
    expect(await checkpointContent(last)).toEqual(wanted)
  },
)
