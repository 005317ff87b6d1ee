import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'start-up-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The files of the package and its dependencies that a command line loads, as V8 counts them. */
function loadedBy(...words: string[]): string[] {
  const coverage = mkdtempSync(join(folder, 'coverage-'))
  const { status } = spawnSync(process.execPath, [join(root, 'dist/cli/index.js'), ...words], {
    env: { ...process.env, NODE_V8_COVERAGE: coverage },
  })
  expect(status).toBe(0)
  const scripts = readdirSync(coverage).flatMap(
    (name) => JSON.parse(readFileSync(join(coverage, name), 'utf8')).result as { url: string }[],
  )
  return scripts
    .filter(({ url }) => url.startsWith('file:'))
    .map(({ url }) => relative(root, fileURLToPath(url)).split(sep).slice(0, 2).join('/'))
}

describe('help comes at once, because it loads', () => {
  it.each(['evaluate', 'compare', 'reproduce', 'report'])(
    'nothing but the command line: %s',
    (name) => {
      const expected = ['dist/cli', 'dist/errors.js', 'node_modules/commander']
      expect([...new Set(loadedBy(name, '--help'))].sort()).toEqual(expected)
    },
  )
})
