/** What memory() tells, and the search for leaks. */
import { spawnSync } from 'node:child_process'
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

describe('memory()', () => {
  test('counts bytes and their peak per device, and the peak anew after a reset', async () => {
    await torch.synchronize()
    const { bytes } = torch.memory()
    torch.resetPeakMemory()
    const large = torch.zeros([1 << 20])
    large.dispose()
    using small = torch.zeros([1 << 18])
    await torch.synchronize()
    const { cpu } = torch.memory().devices
    expect(cpu?.bytes).toBe(bytes + 2 ** 20)
    expect(cpu?.peakBytes).toBeGreaterThanOrEqual(bytes + 2 ** 22)
    torch.resetPeakMemory()
    await torch.synchronize()
    expect(torch.memory().peakBytes).toBe(torch.memory().bytes)
    expect(small.disposed).toBe(false)
  })

  test('tells what each scope around the caller holds', async () => {
    expect(torch.memory().scopes).toEqual([])
    await torch.scopeAsync(
      async () => {
        torch.ones([10])
        await null
        torch.scope(() => {
          torch.ones([3], { dtype: 'float64' })
          torch.ones([1]).dispose()
          torch.keep(torch.ones([1])).dispose()
          expect(torch.memory().scopes).toEqual([
            { name: null, tensors: 1, bytes: 24, made: 3 },
            { name: 'step', tensors: 1, bytes: 40, made: 1 },
          ])
        })
      },
      { name: 'step' },
    )
  })

  test('V8 is told of the tensors that stay', async () => {
    const told = async () => {
      // What stays is the least between two reports, so it shows with the second.
      for (let i = 0; i < 3; i++) await torch.synchronize()
      return torch.memory().reportedBytes
    }
    const before = await told()
    const held = torch.zeros([16 << 20])
    expect(await told()).toBeGreaterThanOrEqual(before + 2 ** 26)
    // A step that takes as much and gives it back is none of V8's business.
    torch.zeros([64 << 20]).dispose()
    expect(await told()).toBeLessThan(before + 2 ** 27)
    held.dispose()
    expect(await told()).toBeLessThan(before + 2 ** 24)
  })
})

// AddressSanitizer keeps freed blocks for a while, to find uses of them.
describe.skipIf('ASAN_OPTIONS' in process.env)('emptyCache()', () => {
  test('gives large and small blocks back to the system', async () => {
    const rss = () => process.memoryUsage().rss
    torch.emptyCache()
    await torch.synchronize()
    for (const [length, count] of [
      [1 << 22, 16],
      [1 << 16, 1024],
    ] as const) {
      const before = rss()
      const many = Array.from({ length: count }, () => torch.zeros([length]))
      await torch.synchronize()
      expect(rss() - before).toBeGreaterThan(200 * 2 ** 20)
      for (const tensor of many) tensor.dispose()
      torch.emptyCache()
      await torch.synchronize()
      expect(rss() - before).toBeLessThan(60 * 2 ** 20)
    }
  })
})

describe('arrays of data()', () => {
  test('are snapshots: ops in place change neither them nor does writing to them change the tensor', async () => {
    for (const length of [3, 5000]) {
      using x = torch.zeros([length])
      const values = await x.data()
      x.add_(1)
      await torch.synchronize()
      expect(values[0]).toBe(0)
      values[0] = 7
      expect((await x.data())[0]).toBe(1)
    }
  })

  test('give their memory back to the collector without being asked', async () => {
    using x = torch.zeros([4 << 20])
    await x.data()
    const before = process.memoryUsage().rss
    // 1.6 GB in all, held by nobody.
    for (let i = 0; i < 100; i++) await x.data()
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 29)
  })
})

describe('debugLeaks', () => {
  test('lists live tensors with the stack that made them', () => {
    torch.debugLeaks(true)
    try {
      const makeOne = () => torch.ones([2, 3])
      const x = makeOne()
      expect(torch.liveTensors()).toMatchObject([
        { shape: [2, 3], dtype: 'float32', device: 'cpu', lost: false },
      ])
      expect(torch.liveTensors()[0]?.stack).toContain('makeOne')
      x.dispose()
      expect(torch.liveTensors()).toEqual([])
    } finally {
      torch.debugLeaks(false)
    }
  })

  test('reports, once for a place, what was collected without being freed', () => {
    const program = `
      import * as torch from 'landmark-diffusion/torch'
      import { setTimeout as pause } from 'node:timers/promises'
      function forget() { torch.ones([5, 7]) }
      for (let i = 0; i < 50; i++) forget()
      const held = torch.ones([2])
      await pause(10)
      gc()
      await pause(50)
      console.log(JSON.stringify(torch.liveTensors().map(({ shape, lost }) => ({ shape, lost })).slice(-2)))
      console.log(torch.memory().tensors, held.disposed)`
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--expose-gc', '--input-type=module', '--eval', program],
      { encoding: 'utf8', env: { ...process.env, LANDMARK_DIFFUSION_LEAKS: '1' } },
    )
    expect(stderr.match(/TensorLeakWarning/g), stderr).toHaveLength(1)
    expect(stderr).toMatch(/float32\[5, 7\], cpu\) was never freed/)
    expect(stderr).toMatch(/at forget /)
    const [tensors, count] = stdout.split('\n')
    expect(JSON.parse(tensors as string)).toEqual([
      { shape: [5, 7], lost: true },
      { shape: [2], lost: false },
    ])
    // It reports and frees nothing.
    expect(count).toBe('51 false')
  })
})
