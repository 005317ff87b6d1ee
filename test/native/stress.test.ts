/** The stress scripts in short; `npm run stress:life-cycle` and `npm run stress:leaks` are the long ones. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

function run(script: string, ...args: string[]) {
  const file = fileURLToPath(new URL(`../../scripts/stress/${script}.mjs`, import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    encoding: 'utf8',
  })
  return { status, output: stdout + stderr }
}

test('20 processes that end at random moments, in every way, do not abort and do not hang', () => {
  const { status, output } = run('life-cycle', '--children', '20', '--seed', '3')
  expect(output).toMatch(/^20 processes ended, 0 badly$/m)
  expect(status).toBe(0)
}, 300_000)

test('rounds of making and dropping tensors in every way leave none behind', () => {
  const { status, output } = run('leak-loop', '--rounds', '100', '--seed', '4')
  expect(output).toMatch(/rounds left no tensor behind; [1-9]\d* workers died/)
  expect(status, output).toBe(0)
}, 120_000)
