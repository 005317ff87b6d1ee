/** What a run says of a machine that fails it. The messages of libtorch are those of its source; a real one comes from the CPU's allocator. */
import { describe, expect, test } from 'vitest'
import { LandmarkDiffusionError } from '#lib/errors.js'
import * as torch from '#lib/torch/index.js'
import { adviceOutOfMemory, readOutOfMemory } from '#lib/torch/out-of-memory.js'
import { explainLoss } from '#lib/training/bad-luck.js'
import { deviceOfRank, usableDevice } from '#lib/training/device.js'

const cudaMessage =
  'CUDA out of memory. Tried to allocate 20.00 GiB. GPU 1 has a total capacity of 79.11 GiB of which 10.50 GiB is free. ' +
  'Process 17 has 68.00 GiB memory in use. Of the allocated memory 60.00 GiB is allocated by PyTorch.'

describe('out of memory', () => {
  test('is read from the message of the CUDA allocator', () => {
    const found = readOutOfMemory(cudaMessage)
    expect(found).toEqual({ device: 'cuda:1', wanted: 20 * 2 ** 30, free: 10.5 * 2 ** 30 })
    expect(adviceOutOfMemory(found)).toMatch(/smaller batch or image/)
  })

  test('has its figures on the CPU too', async () => {
    const wanted = async () =>
      torch
        .zeros([2 ** 44])
        .sum()
        .item()
    const error = await wanted().then(
      () => null,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(torch.OpError)
    const { code, outOfMemory } = error as torch.OpError
    expect(code).toBe('ERR_OUT_OF_MEMORY')
    expect(outOfMemory).toMatchObject({ device: 'cpu', wanted: 2 ** 46 })
    expect(outOfMemory?.free).toBeGreaterThan(0)
  })

  test('in the middle of a run says what is kept and what to reduce', () => {
    const error = new torch.OpError(
      'ERR_OUT_OF_MEMORY',
      { op: 'aten::conv2d', inputs: '', message: cudaMessage },
      readOutOfMemory(cudaMessage),
    )
    const told = explainLoss(error, { step: 17, folder: 'runs/first' }) as LandmarkDiffusionError
    expect(told.code).toBe('ERR_OUT_OF_MEMORY')
    expect(told.message).toMatch(/cuda:1: 20480 MiB were wanted, 10752 MiB were free/)
    expect(told.message).toMatch(/step 17.*runs\/first.*untouched.*--resume.*train\.batchSize/)
  })
})

describe('a device', () => {
  test('that fails in the middle of a run ends it with the way to go on', () => {
    const error = new torch.OpError('ERR_DEVICE', {
      op: 'synchronize',
      inputs: '',
      message: 'CUDA error: uncorrectable ECC error encountered',
    })
    const told = explainLoss(error, { step: 3, folder: 'runs/x' }) as LandmarkDiffusionError
    expect(told.code).toBe('ERR_DEVICE')
    expect(told.message).toMatch(/ECC.*step 3.*runs\/x.*--resume/)
  })

  test('other errors stay what they are', () => {
    const error = new Error('something else')
    expect(explainLoss(error, { step: 1, folder: '' })).toBe(error)
  })

  test.skipIf(torch.cuda.isAvailable())('that is not there is named with the reason', () => {
    const reason = torch.cuda.whyUnavailable()
    expect(reason).toMatch(/built for the CPU|driver|device/i)
    const refused = (call: () => unknown) => {
      try {
        call()
      } catch (error) {
        return error as LandmarkDiffusionError
      }
      return null
    }
    for (const call of [
      () => usableDevice('cuda:0'),
      () => torch.zeros([1], { device: 'cuda:0' }),
      () => torch.zeros([1]).to('cuda'),
      () => torch.tensor([1], { device: 'cuda:3' }),
      () => new torch.Generator('cuda:0', 1),
    ]) {
      const error = refused(call)
      expect(error).toBeInstanceOf(LandmarkDiffusionError)
      expect(error?.code).toBe('ERR_DEVICE')
      expect(error?.message).toContain(reason as string)
    }
  })

  test('is one each for the ranks of a machine, and the CPU where there is none', () => {
    const { LOCAL_RANK } = process.env
    const four = { count: 4, problem: null }
    try {
      for (const [rank, wanted] of [
        [undefined, 'cuda:0'],
        ['0', 'cuda:0'],
        ['3', 'cuda:3'],
      ] as const) {
        if (rank === undefined) delete process.env.LOCAL_RANK
        else process.env.LOCAL_RANK = rank
        expect([deviceOfRank(four), usableDevice('cuda', four)]).toEqual([wanted, wanted])
        expect(usableDevice('cuda:2', four)).toBe('cuda:2')
        expect(deviceOfRank({ count: 0, problem: 'no driver' })).toBe('cpu')
        expect(usableDevice('cpu', four)).toBe('cpu')
      }
      process.env.LOCAL_RANK = '4'
      expect(() => deviceOfRank(four)).toThrow(/there are 4 CUDA devices.*at most 4 processes/)
      process.env.LOCAL_RANK = '0; rm'
      expect(() => deviceOfRank(four)).toThrow(/is no device/)
    } finally {
      if (LOCAL_RANK === undefined) delete process.env.LOCAL_RANK
      else process.env.LOCAL_RANK = LOCAL_RANK
    }
  })

  test('that makes no sense is a wrong argument', () => {
    expect(() => usableDevice('gpu')).toThrow(/'gpu' is no device/)
    expect(() => torch.device('cuda:x')).toThrow(/no device/)
  })
})

describe('options of CUDA', () => {
  test('are kept, and can be set on a machine without one', async () => {
    const before = await torch.cuda.options()
    torch.cuda.setOptions({ tf32Matmul: true, cudnnBenchmark: true, attention: ['cudnn', 'flash'] })
    expect(await torch.cuda.options()).toMatchObject({
      tf32Matmul: true,
      cudnnBenchmark: true,
      attention: ['cudnn', 'flash'],
    })
    torch.cuda.setOptions(before)
    expect(await torch.cuda.options()).toEqual(before)
  })

  test('are checked', () => {
    const set = (options: object) => () => torch.cuda.setOptions(options)
    expect(set({ tf32: true })).toThrow(/there is no 'tf32'/)
    expect(set({ tf32Matmul: 1 })).toThrow(/true or false/)
    expect(set({ attention: ['fast'] })).toThrow(/cudnn/)
  })
})
