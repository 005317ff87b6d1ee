/** Folders for results, in the places where Node's own recursive mkdir never comes back. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { makeFolder } from '#lib/output-folder.js'

const root = mkdtempSync(join(tmpdir(), 'output-folder-'))
afterAll(() => rmSync(root, { recursive: true }))
const isFolder = (path: string) => statSync(path).isDirectory()

describe('makeFolder', () => {
  test('makes a folder and those above it, and leaves one that is there', async () => {
    const deep = join(root, 'a', 'b', 'c')
    await makeFolder(deep)
    expect(isFolder(deep)).toBe(true)
    await makeFolder(deep)
    await makeFolder(join(root, 'a', 'd', '..', 'e'))
    expect(isFolder(join(root, 'a', 'e'))).toBe(true)
  })

  test('several at once may make the same folders', async () => {
    const paths = Array.from({ length: 20 }, (_, i) => join(root, 'x', 'y', `z${i % 3}`))
    await Promise.all(paths.map(makeFolder))
    expect(paths.every(isFolder)).toBe(true)
  })

  test('a link to a folder is a folder; one that leads nowhere is not', async () => {
    const [link, broken] = [join(root, 'link'), join(root, 'broken')]
    symlinkSync(root, link)
    symlinkSync(join(root, 'nowhere'), broken)
    await makeFolder(link)
    await expect(makeFolder(broken)).rejects.toThrow(/cannot be made \(EEXIST\)/)
    await expect(makeFolder(join(broken, 'a'))).rejects.toThrow(/cannot be made/)
  })

  test('a file in the way is said', async () => {
    const file = join(root, 'file')
    writeFileSync(file, '')
    await expect(makeFolder(file)).rejects.toMatchObject({ code: 'ERR_DATA' })
    await expect(makeFolder(join(file, 'a', 'b'))).rejects.toThrow(/cannot be made \(ENOTDIR\)/)
  })

  test.runIf(process.platform === 'linux')(
    'below /proc, where nothing can be made, it ends in an error',
    async () => {
      for (const path of ['/proc/results', '/proc/results/a/b', '/proc/self/results'])
        await expect(makeFolder(path)).rejects.toThrow(
          `The folder '${path}' cannot be made (ENOENT); give a folder below one that can be written to.`,
        )
    },
  )
})

/** In a process of its own: one that hangs is ended. */
function run(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, words, {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, ...env },
  })
}

describe.runIf(process.platform === 'linux')('a command that is to write below /proc', () => {
  const program = fileURLToPath(import.meta.resolve('#lib/cli/index.js'))

  test.for([
    ['synthesize', '/proc/results', '--count', '1', '--size', '64x80'],
    ['benchmark', 'pytorch', '--force', '--out', '/proc/results'],
    ['benchmark', 'precision', '--out', '/proc/results/deep'],
  ])('%s %s says so and ends', (words) => {
    const { status, stderr } = run([program, ...words])
    expect(stderr).toMatch(/'\/proc\/results[^']*'.*ENOENT/)
    expect(status).toBe(1)
  })

  test('a cache of libtorch there is said too', () => {
    const script = `import { makeCacheFolder } from ${JSON.stringify(new URL('../scripts/libtorch/pip.mjs', import.meta.url).href)}
      try { makeCacheFolder('/proc/cache/libtorch') } catch (error) { console.log(error.message) }`
    expect(run(['--input-type=module', '-e', script]).stdout).toBe(
      "The folder '/proc/cache/libtorch' cannot be made (ENOENT); name another cache with LANDMARK_DIFFUSION_CACHE.\n",
    )
  })
})
