/**
 * A driver that is too old for libtorch: one is put before the runtime's own functions. Only in a build for CUDA on a
 * machine without a GPU, where the CPU goes on as ever.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as torch from '#lib/torch/index.js'

const why = torch.cuda.whyUnavailable()
const reason = why === null ? 'there is a GPU' : /built for the CPU/.test(why) ? why : null

/** cudaErrorInsufficientDriver is 35. */
const source = `
extern "C" int cudaDriverGetVersion(int* version) { *version = 11040; return 0; }
extern "C" int cudaGetDeviceCount(int* count) { *count = 0; return 35; }
`
const script = `
import * as torch from 'landmark-diffusion/torch'
const said = await (async () => torch.zeros([1], { device: 'cuda:0' }))().catch((error) => error)
console.log(JSON.stringify([said.code, said.message, await torch.ones([3]).sum().item()]))
`

test.skipIf(reason)(
  `a driver that is too old is an ERR_DEVICE with its version${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'old-driver-'))
    const [code, library] = [join(folder, 'driver.cpp'), join(folder, 'driver.so')]
    writeFileSync(code, source)
    expect(spawnSync('c++', ['-shared', '-fPIC', code, '-o', library]).status).toBe(0)
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, LD_PRELOAD: library },
      encoding: 'utf8',
    })
    const [found, message, sum] = JSON.parse(stdout)
    expect(found).toBe('ERR_DEVICE')
    expect(message).toMatch(/driver on your system is too old \(found version 11040\)/)
    expect(sum).toBe(3)
  },
)
