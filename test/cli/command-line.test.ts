/** The program as a user starts it: its exit statuses, its sentences, its help, and what it must not load. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test, vi } from 'vitest'

const program = fileURLToPath(import.meta.resolve('#lib/cli/index.js'))
const empty = mkdtempSync(join(tmpdir(), 'command-line-'))
afterAll(() => rmSync(empty, { recursive: true }))

function run(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { status, stdout, stderr }
}

/** No libtorch anywhere: no variable, no Python on the PATH, an empty cache. */
const bare = { LIBTORCH: '', PATH: empty, LANDMARK_DIFFUSION_CACHE: empty }

const names = ['setup', 'info', 'synthesize', 'train', 'predict', 'evaluate', 'report', 'benchmark']

describe('help', () => {
  test('the help without a command lists all eight', () => {
    const { status, stdout } = run(['--help'])
    expect(status).toBe(0)
    for (const name of names) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  for (const name of names)
    test(`${name} --help shows an example, with status 0, on a machine without libtorch`, () => {
      const { status, stdout } = run([name, '--help'], bare)
      expect(status).toBe(0)
      expect(stdout).toMatch(/^Usage: /)
      expect(stdout).toContain(`$ landmark-diffusion ${name}`)
    })

  test('help NAME is the help of that command', () => {
    expect(run(['help', 'setup']).stdout).toBe(run(['setup', '--help']).stdout)
  })
})

describe('wrong usage has status 2 and one sentence', () => {
  const wrong: Record<string, [string[], RegExp]> = {
    'an unknown command suggests the nearest': [['trian'], /Unknown command 'trian'[\s\S]*train/],
    'an unknown option suggests the nearest': [
      ['info', '--jsno'],
      /Unknown option '--jsno'[\s\S]*--json/,
    ],
    'a missing argument is named': [['synthesize'], /missing required argument 'dir'/i],
    'a number that is none': [['synthesize', 'x', '--count', 'many'], /--count[\s\S]*whole number/],
    'a size that is none': [['synthesize', 'x', '--size', '12'], /WIDTHxHEIGHT/],
    'an unknown benchmark': [['benchmark', 'none'], /no benchmark 'none'/],
    'an unknown option of a benchmark': [['benchmark', 'op-cost', '--batch', '3'], /--batches/],
    'an unknown workload suggests the nearest': [
      ['benchmark', 'pytorch', '--workload', 'stepp'],
      /no workload 'stepp'[\s\S]*'step'/,
    ],
    'an unknown variant': [['benchmark', 'pytorch', '--variants', 'best'], /eager-nchw/],
    'too many arguments': [['info', 'extra'], /Too many arguments/],
  }
  for (const [what, [words, message]] of Object.entries(wrong))
    test(what, () => {
      const { status, stdout, stderr } = run(words)
      expect(stderr).toMatch(message)
      expect(stderr).not.toMatch(/^\s+at /m)
      expect(stdout).toBe('')
      expect(status).toBe(2)
    })

  test('no command at all shows the help', () => {
    const { status, stdout } = run([])
    expect(stdout).toMatch(/^Usage: /)
    expect(status).toBe(2)
  })
})

describe('failures have status 1 and one sentence', () => {
  const words = ['setup', '--from', join(empty, 'none.whl')]

  test('without --debug there is no stack', () => {
    const { status, stderr } = run(words)
    expect(stderr).toMatch(/There is no file '.*none\.whl'/)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(status).toBe(1)
  })

  test('with --debug there is one', () => {
    const { status, stderr } = run([...words, '--debug'])
    expect(stderr).toMatch(/^\s+at /m)
    expect(status).toBe(1)
  })
})

describe('a benchmark', () => {
  const names = run(['benchmark'])
    .stdout.trim()
    .split('\n')
    .map((line) => line.split(' ')[0] as string)

  for (const name of names)
    test(`${name} --help lists its own options, with an example, on a machine without libtorch`, () => {
      const { status, stdout } = run(['benchmark', name, '--help'], bare)
      expect(status).toBe(0)
      expect(stdout).toMatch(new RegExp(`^Usage: landmark-diffusion benchmark ${name} `))
      expect(stdout).toContain(`$ landmark-diffusion benchmark ${name}`)
    })

  const pytorch = (...words: string[]) => run(['benchmark', 'pytorch', '--force', ...words])

  test('with a Python that is not there says so, with the remedy', () => {
    const { status, stderr } = pytorch('--python', join(empty, 'python'))
    expect(stderr).toMatch(/cannot be started.*--python\.$/m)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(status).toBe(1)
  })

  const hasPython = spawnSync('python3', ['--version']).status === 0
  test.skipIf(!hasPython)('with a Python without torch says so, with the remedy', () => {
    // Without its site packages a Python has no torch.
    const python = join(empty, 'bare-python')
    writeFileSync(python, '#!/bin/sh\nexec python3 -I -S "$@"\n', { mode: 0o755 })
    const { status, stderr } = pytorch('--python', python)
    expect(stderr).toMatch(/No module named.*--python\.$/m)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(status).toBe(1)
  })

  test.skipIf(process.platform !== 'linux')('that is terminated ends what it runs', async () => {
    const words = [program, 'benchmark', 'event-loop', '--force']
    const outer = spawn(process.execPath, words, { stdio: 'ignore' })
    const childrenOf = `/proc/${outer.pid}/task/${outer.pid}/children`
    const inner = await vi.waitUntil(() => readFileSync(childrenOf, 'utf8').trim(), {
      timeout: 20_000,
    })
    outer.kill()
    await once(outer, 'close')
    expect(existsSync(`/proc/${inner}`)).toBe(false)
  })

  test('refuses a folder that cannot be written to before it measures', () => {
    const file = join(empty, 'file')
    writeFileSync(file, '')
    const { status, stderr } = pytorch('--out', join(file, 'results'))
    expect(stderr).toMatch(/Nothing can be written to/)
    expect(status).toBe(1)
  })
})

describe('info', () => {
  test('as JSON it is an object with versions, CPU and memory', () => {
    const info = JSON.parse(run(['info', '--json']).stdout)
    expect(info.node).toBe(process.versions.node)
    expect(info.cpu.cores).toBeGreaterThan(0)
    expect(info.memory.total).toBeGreaterThan(info.memory.free)
  })

  test('without libtorch it says where it looked and what mends it, and is no failure', () => {
    const { status, stdout } = run(['info'], bare)
    expect(status).toBe(0)
    expect(stdout).toMatch(/libtorch\s+none/)
    expect(stdout).toMatch(/npm run setup/)
  })
})

test('a reader that closes the pipe early is no error', () => {
  const line = `"${process.execPath}" "${program}" info --json | head -c 1`
  const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', line], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})
