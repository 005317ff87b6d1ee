/** Saving is all or nothing: full disks, killed processes, missing folders. */

import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeAtomically, writeFully } from '#lib/torch/files/atomic-write.js'

const moduleUrl = import.meta.resolve('#lib/torch/files/atomic-write.js')
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('the new file replaces the old one and nothing else is left', async () => {
  const path = join(folder, 'last')
  await writeFile(path, 'old')
  await writeAtomically(path, (file) => writeFully(file, Buffer.from('new')))
  expect(await readFile(path, 'utf8')).toBe('new')
  expect(await readdir(folder)).toEqual(['last'])
})

test('a failure half way leaves the old file and no temporary one', async () => {
  const path = join(folder, 'last')
  await writeFile(path, 'old')
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
  })
  const save = writeAtomically(path, async (file) => {
    await writeFully(file, Buffer.from('half of it'))
    throw full
  })
  await expect(save).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringMatching(/last' could not be saved: the disk is full/),
  })
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(folder)).toEqual(['last'])
})

test('a folder that does not exist is named', async () => {
  const path = join(folder, 'none', 'last')
  await expect(writeAtomically(path, async () => undefined)).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringMatching(/folder '.*none' does not exist/),
  })
})

const canMount =
  spawnSync('unshare', ['-Urm', 'sh', '-c', 'mount -t tmpfs none /mnt && exec true']).status === 0

test.skipIf(!canMount)('on a disk that is really full the old file survives', () => {
  const script = `
    import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
    const { writeAtomically, writeFully } = await import(${JSON.stringify(moduleUrl)})
    writeFileSync('/mnt/last', 'old')
    let message = ''
    await writeAtomically('/mnt/last', (file) => writeFully(file, Buffer.alloc(1 << 20))).catch((e) => { message = e.code + ' ' + e.message })
    console.log(JSON.stringify({ message, old: readFileSync('/mnt/last', 'utf8'), files: readdirSync('/mnt') }))`
  const mounted = `mount -t tmpfs -o size=64k none /mnt && exec "$0" --input-type=module -e "$1"`
  const run = spawnSync('unshare', ['-Urm', 'sh', '-c', mounted, process.execPath, script], {
    encoding: 'utf8',
  })
  const { message, old, files } = JSON.parse(run.stdout)
  expect(message).toMatch(/ERR_CHECKPOINT .*the disk is full/)
  expect(old).toBe('old')
  expect(files).toEqual(['last'])
})

test('a process that is killed while it writes leaves the old file whole', async () => {
  const path = join(folder, 'last')
  await writeFile(path, 'old')
  const script = `
    const { writeAtomically, writeFully } = await import(${JSON.stringify(moduleUrl)})
    await writeAtomically(${JSON.stringify(path)}, async (file) => {
      for (;;) { await writeFully(file, Buffer.alloc(4096)); process.stdout.write('.') }
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('close', resolve))
  expect(await readFile(path, 'utf8')).toBe('old')

  // The next save removes what the killed one left, once that is old enough to be nobody's.
  const left = (await readdir(folder)).filter((name) => name !== 'last')
  expect(left).toHaveLength(1)
  await utimes(join(folder, left[0] as string), 0, 0)
  await writeAtomically(path, (file) => writeFully(file, Buffer.from('new')))
  expect(await readdir(folder)).toEqual(['last'])
})
