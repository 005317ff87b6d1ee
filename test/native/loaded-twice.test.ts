/** Two copies of the package in one process: over one file of the addon, and over two. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const child = fileURLToPath(new URL('./loaded-twice-child.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'loaded-twice-'))
afterAll(() => rmSync(folder, { recursive: true }))

function copyOfPackage(name: string, takeAddon: (from: string, to: string) => void): string {
  const copy = join(folder, name)
  mkdirSync(join(copy, 'build/Release'), { recursive: true })
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true })
  copyFileSync(join(root, 'package.json'), join(copy, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const addon = 'build/Release/landmark_diffusion.node'
  takeAddon(join(root, addon), join(copy, addon))
  return copy
}

function run(copy: string): unknown {
  return JSON.parse(execFileSync(process.execPath, [child, root, copy], { encoding: 'utf8' }))
}

// 1 + 200 * 1 and 2 + 200 * 2.
const values = [201, 402]

describe('two copies of the package in one process', () => {
  test('over one file of the addon have queues and tensors of their own, and can share', () => {
    expect(run(copyOfPackage('linked', symlinkSync))).toEqual({
      main: values,
      workers: [values, values],
      shared: 1,
      sameExports: false,
      again: values,
    })
  })

  // The variable names one addon for both.
  const oneForBoth = 'LANDMARK_DIFFUSION_PREBUILD' in process.env
  test.skipIf(oneForBoth)(
    'over two files of the addon work side by side, and refuse the other one’s handles',
    () => {
      expect(run(copyOfPackage('copied', copyFileSync))).toEqual({
        main: values,
        workers: [values, values],
        shared: 'ERR_SCHEMA',
        sameExports: false,
        again: values,
      })
    },
  )
})
