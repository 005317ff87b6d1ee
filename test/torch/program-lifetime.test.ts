import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const child = join(import.meta.dirname, 'program-child.mjs')

test.each([
  ['end', 'done\n'],
  ['exit', ''],
  ['exit-while-recording', ''],
  ['workers-at-once', 'done\n'],
  ['workers-terminated', 'done\n'],
])('a process with queued replays leaves cleanly: %s', (mode, printed) => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [child, mode], {
    encoding: 'utf8',
    timeout: 50_000,
  })
  expect({ status, signal, stderr, stdout }).toEqual({
    status: 0,
    signal: null,
    stderr: '',
    stdout: printed,
  })
})
