/** A short run of the fuzzer (scripts/fuzz): hostile calls end in a result or a typed error, in a process that lives. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const fuzz = fileURLToPath(new URL('../../scripts/fuzz/fuzz.mjs', import.meta.url))

async function run(
  ...options: string[]
): Promise<{ counts: Record<string, number>; failures: unknown[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'hostile-'))
  const report = join(folder, 'report.json')
  const running = spawn(process.execPath, [fuzz, '--seed', '1', '--json', report, ...options], {
    stdio: 'ignore',
  })
  await new Promise((resolve, reject) => running.on('close', resolve).on('error', reject))
  const found = JSON.parse(await readFile(report, 'utf8'))
  await rm(folder, { recursive: true })
  return found
}

const made = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)

test('two thousand hostile calls end in results and typed errors', async () => {
  const { counts, failures } = await run('--calls', '2000')
  expect(failures).toEqual([])
  expect(made(counts)).toBe(2000)
  // Some calls get through the checks, and the checks are of several kinds.
  expect(counts.result).toBeGreaterThan(100)
  expect(counts.ERR_OP).toBeGreaterThan(100)
  expect(counts.ERR_SCHEMA).toBeGreaterThan(100)
})

test('so do five hundred uses of layers, optimisers, programs, scopes and files', async () => {
  const { counts, failures } = await run('--objects', '--calls', '500')
  expect(failures).toEqual([])
  expect(made(counts)).toBe(500)
  expect(counts.result).toBeGreaterThan(100)
  expect(counts.ERR_SCHEMA).toBeGreaterThan(20)
})
