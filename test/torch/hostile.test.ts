/** A short run of the fuzzer (scripts/fuzz): hostile calls end in a result or a typed error, in a process that lives. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const fuzz = fileURLToPath(new URL('../../scripts/fuzz/fuzz.mjs', import.meta.url))

test('two thousand hostile calls end in results and typed errors', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hostile-'))
  const report = join(folder, 'report.json')
  const running = spawn(
    process.execPath,
    [fuzz, '--calls', '2000', '--seed', '1', '--json', report],
    {
      stdio: 'ignore',
    },
  )
  await new Promise((resolve, reject) => running.on('close', resolve).on('error', reject))
  const { counts, failures } = JSON.parse(await readFile(report, 'utf8'))
  await rm(folder, { recursive: true })
  expect(failures).toEqual([])
  const ends = Object.values(counts as Record<string, number>)
  expect(ends.reduce((sum, count) => sum + count, 0)).toBe(2000)
  // Some calls get through the checks, and the checks are of several kinds.
  expect(counts.result).toBeGreaterThan(100)
  expect(counts.ERR_OP).toBeGreaterThan(100)
  expect(counts.ERR_SCHEMA).toBeGreaterThan(100)
})
