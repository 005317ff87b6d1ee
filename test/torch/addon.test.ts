/** Each way in which the addon fails to load, provoked in a copy of the package. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
let copy: string

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'addon-'))
  await cp(join(root, 'dist'), join(copy, 'dist'), { recursive: true })
  await cp(join(root, 'package.json'), join(copy, 'package.json'))
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
})

afterAll(() => rm(copy, { recursive: true, force: true }))

/** What a program prints that makes one tensor with the copied package. */
function makeTensor(): Promise<{ code: string; message: string; value?: number }> {
  const program = `
    import('landmark-diffusion/torch')
      .then(async (torch) => ({ value: await torch.ones([1]).item() }))
      .catch(({ code, message }) => ({ code, message }))
      .then((outcome) => console.log(JSON.stringify(outcome)))`
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['-e', program], { cwd: copy }, (error, output) => {
      if (error) reject(error)
      else resolve(JSON.parse(output))
    })
  })
}

describe('loading the addon', () => {
  test('without a build names the places looked at and the command that mends it', async () => {
    const { code, message } = await makeTensor()
    expect(code).toBe('ERR_ADDON_LOAD')
    expect(message).toContain(join(copy, 'build/Release'))
    expect(message).toContain('npm run build')
  })

  test('from a damaged file says so', async () => {
    await mkdir(join(copy, 'build/Release'), { recursive: true })
    await writeFile(join(copy, 'build/Release/landmark_diffusion.node'), 'no shared library')
    const { code, message } = await makeTensor()
    expect(code).toBe('ERR_ADDON_LOAD')
    expect(message).toMatch(/npm run build.*Reason: .*(too short|invalid ELF)/s)
    await rm(join(copy, 'build'), { recursive: true })
  })

  test('beside a libtorch of another version names both', async () => {
    await mkdir(join(copy, 'build'))
    await symlink(join(root, 'build/Release'), join(copy, 'build/Release'))
    await writeFile(join(copy, 'build/version.py'), "__version__ = '2.5.1+cpu'\n")
    await writeFile(join(copy, 'build/libtorch.txt'), `${join(copy, 'build')}\n`)
    const { code, message } = await makeTensor()
    expect(code).toBe('ERR_LIBTORCH_MISMATCH')
    expect(message).toMatch(
      /built with libtorch 2\.\d+\.\d+, but .* now holds 2\.5\.1.*npm run build/,
    )
    await rm(join(copy, 'build/libtorch.txt'))
    expect(await makeTensor()).toEqual({ value: 1 })
  })
})

test('importing the package loads no libtorch', async () => {
  const program = `
    import('landmark-diffusion').then(() =>
      console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('libtorch')))`
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, ['-e', program], { cwd: root }, (error, text) => {
      if (error) reject(error)
      else resolve(text)
    })
  })
  expect(output.trim()).toBe('false')
})
