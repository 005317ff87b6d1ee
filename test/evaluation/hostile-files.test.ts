import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../scripts/fuzz/evaluation-files.mjs', import.meta.url))

it('mutated files of every format give a result or a clear error', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    script,
    '--count',
    '500',
    '--seed',
    '7',
  ])
  const [, results, refusals] = /500 mutated files: (\d+) read, (\d+) refused/.exec(stdout) ?? []
  expect(Number(results)).toBeGreaterThan(0)
  expect(Number(refusals)).toBeGreaterThan(0)
})
