/** The command line of `npm run sanitize`; the run itself takes half an hour. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../../scripts/sanitize/sanitize.mjs', import.meta.url))
const sanitize = (...words: string[]) =>
  spawnSync(process.execPath, [script, ...words], { encoding: 'utf8' })

test('--help names the sanitizers and every option, and builds nothing', () => {
  const { status, stdout } = sanitize('--help', 'thread')
  expect(status).toBe(0)
  for (const word of ['address', 'thread', 'FILE', '--short', '--resume', '--jobs'])
    expect(stdout).toContain(word)
})

test.each(['memory', 'test/torch/none.test.ts'])('%s is refused by its name', (word) => {
  const { status, stderr } = sanitize(word)
  expect(status).toBe(2)
  expect(stderr).toContain(`'${word}'`)
})
