/**
 * No driver, and one that is too old for libtorch: a libcuda.so.1 of our own, which CUDA's runtime loads and asks. Only
 * in a build for CUDA on a machine without a GPU, where the CPU goes on as ever.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { syntheticData, temporaryFolder } from '../training/fixtures.js'

const why = torch.cuda.whyUnavailable()
const reason = why === null ? 'there is a GPU' : /built for the CPU/.test(why) ? why : null

const source = `
#include <string.h>
int cuInit(unsigned flags) { return (int)flags; }
int cuDriverGetVersion(int* version) { *version = 11040; return 0; }
int cuGetProcAddress_v2(const char* name, void** found, int version, unsigned long long flags, void* status) {
  *found = 0;
  if (!strcmp(name, "cuInit")) *found = (void*)cuInit;
  if (!strcmp(name, "cuDriverGetVersion")) *found = (void*)cuDriverGetVersion;
  if (!strcmp(name, "cuGetProcAddress")) *found = (void*)cuGetProcAddress_v2;
  (void)version, (void)flags, (void)status;
  return *found ? 0 : 500;
}
int cuGetProcAddress(const char* name, void** found, int version, unsigned long long flags) {
  return cuGetProcAddress_v2(name, found, version, flags, 0);
}
`
const script = `
import * as torch from 'landmark-diffusion/torch'
const said = await (async () => torch.zeros([1], { device: 'cuda:0' }))().catch((error) => error)
console.log(JSON.stringify([said.code, said.message, await torch.ones([3]).sum().item()]))
`

/** A folder that holds the driver. */
function oldDriver(): string {
  const folder = mkdtempSync(join(tmpdir(), 'old-driver-'))
  const code = join(folder, 'driver.c')
  writeFileSync(code, source)
  const library = join(folder, 'libcuda.so.1')
  const words = ['-shared', '-fPIC', '-Wl,-soname,libcuda.so.1', code, '-o', library]
  expect(spawnSync('cc', words).status).toBe(0)
  return folder
}

const cases: [string, () => Record<string, string>, RegExp][] = [
  ['no driver', () => ({}), /Found no NVIDIA driver on your system/],
  [
    'a driver that is too old',
    () => ({ LD_LIBRARY_PATH: oldDriver() }),
    /driver on your system is too old \(found version 11040\)/,
  ],
]

describe.skipIf(reason)(`a machine with${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test.each(cases)("%s: an ERR_DEVICE with libtorch's reason", async (_, environment, wanted) => {
    const env = { ...process.env, ...environment() }
    const cwd = join(import.meta.dirname, '../..')
    const run = (...words: string[]) =>
      spawnSync(process.execPath, words, { cwd, env, encoding: 'utf8' })
    const [found, message, sum] = JSON.parse(run('--input-type=module', '-e', script).stdout)
    expect(found).toBe('ERR_DEVICE')
    expect(message).toMatch(wanted)
    expect(sum).toBe(3)

    const [data, out] = [await syntheticData(), join(temporaryFolder(), 'run')]
    const words = ['dist/cli/index.js', 'train', '--preset', 'tiny', '--data', data, '--out', out]
    const { status, stderr } = run(...words, '--device', 'cuda:0')
    expect(status).toBe(1)
    expect(stderr).toMatch(/cuda:0 cannot be used/)
    expect(stderr).toMatch(wanted)
    expect(stderr).toMatch(/Give --device cpu/)
    expect(existsSync(out)).toBe(false)
    expect(run(...words, '--device', 'cpu').status).toBe(0)
  })
})
