/** Tensors handed from thread to thread: same memory, the order of ops, and handles that are good once. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const file = new URL('./sharing-worker.mjs', import.meta.url)
let worker: Worker

async function ask(task: string, details: object = {}, other = worker): Promise<unknown> {
  other.postMessage({ task, ...details })
  const [answer] = (await once(other, 'message')) as [{ result: unknown; error?: string }]
  if (answer.error !== undefined) throw new Error(answer.error)
  return answer.result
}

beforeAll(() => {
  worker = new Worker(file)
})
afterAll(async () => {
  await worker.terminate()
})

describe('a shared tensor', () => {
  test('arrives with its values, shape, strides and dtype, and records no gradients', async () => {
    using w = torch.tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { dtype: 'float64', requiresGrad: true },
    )
    using transposed = w.t()
    expect(await ask('values', { shared: torch.share(transposed) })).toEqual({
      values: [
        [1, 4],
        [2, 5],
        [3, 6],
      ],
      shape: [3, 2],
      dtype: 'float64',
      strides: [1, 3],
      requiresGrad: false,
    })
  })

  test('is the same memory on both sides', async () => {
    using x = torch.zeros([3])
    await ask('hold', { name: 'x', shared: torch.share(x) })
    await ask('add', { name: 'x', value: 5 })
    expect(await x.tolist()).toEqual([5, 5, 5])
    x.add_(1)
    await torch.synchronize()
    expect(await ask('read', { name: 'x' })).toEqual([6, 6, 6])
  })

  test('takes no further memory', async () => {
    using x = torch.ones([1 << 20])
    await torch.synchronize()
    const before = torch.memory().bytes
    await ask('hold', { name: 'big', shared: torch.share(x) })
    await ask('read', { name: 'x' })
    // Small change: what the other thread reads by is let go after its answer is here.
    expect(torch.memory().bytes - before).toBeLessThan(1024)
  })

  test('has the values of the ops queued before share(), and may be disposed at once', async () => {
    const shared = torch.scope(() => {
      let y = torch.eye(64)
      for (let i = 0; i < 500; i++) y = y.matmul(torch.eye(64))
      return torch.share([y.sum(), y.sum().mul(2)])
    })
    expect(await ask('values', { shared: shared[1] })).toMatchObject({ values: 128 })
    expect(await ask('values', { shared: shared[0] })).toMatchObject({ values: 64 })
  })

  test('becomes a leaf of its own there by requiresGrad_(), with a gradient of its own', async () => {
    using w = torch.tensor([1, 2], { requiresGrad: true })
    expect(await ask('gradient', { shared: torch.share(w), x: [7, 8] })).toEqual([7, 8])
    expect(w.grad).toBe(null)
  })

  test('that is changed elsewhere is noticed by the backward pass that needs the old values', async () => {
    using w = torch.tensor([1, 2], { requiresGrad: true })
    using weights = w.detach()
    using loss = w.mul(w).sum()
    await ask('hold', { name: 'weights', shared: torch.share(weights) })
    await ask('add', { name: 'weights', value: 1 })
    loss.backward()
    await expect(torch.synchronize()).rejects.toThrow(/modified by an inplace operation/)
  })

  test('carries the failure of the op that was to make it', async () => {
    using notPositive = torch.eye(2).neg()
    // The first call of a shape is waited for and throws; the second is queued.
    const [factor] = [torch.call('aten::linalg_cholesky', [torch.eye(2)])] as [torch.Tensor]
    factor.dispose()
    using failed = torch.call('aten::linalg_cholesky', [notPositive]) as torch.Tensor
    await expect(ask('values', { shared: torch.share(failed) })).rejects.toThrow(
      /positive-definite/,
    )
    await expect(torch.synchronize()).rejects.toThrow(/positive-definite/)
  })

  test('comes in state dicts, next to what is no tensor', async () => {
    const model = new torch.nn.Linear(2, 1)
    const live = torch.memory().tensors
    const message = structuredClone({ epoch: 3, weights: torch.share(model.stateDict()) })
    const weights = torch.fromShared(message.weights) as Record<string, torch.Tensor>
    expect(Object.keys(weights)).toEqual(['weight', 'bias'])
    expect(await weights.weight?.tolist()).toEqual(await model.weight.tolist())
    for (const tensor of Object.values(weights)) tensor.dispose()
    expect(torch.memory().tensors).toBe(live)
    model.dispose()
  })

  test('becomes the weight of a second module, which follows the first', async () => {
    const live = torch.memory().tensors
    const first = new torch.nn.Linear(2, 1)
    const second = new torch.nn.Linear(2, 1)
    second.loadStateDict(torch.fromShared(torch.share(first.stateDict())), { assign: true })
    expect(second.weight.requiresGrad).toBe(true)
    const outputs = (input: number[]) =>
      torch.scopeAsync(async () => {
        const x = torch.tensor([input])
        return [await first.forward(x).item(), await second.forward(x).item()]
      })
    torch.noGrad(() => torch.scope(() => void first.weight.fill_(3)))
    torch.noGrad(() => torch.scope(() => void first.bias?.fill_(1)))
    expect(await outputs([1, 2])).toEqual([10, 10])
    first.dispose()
    second.dispose()
    expect(torch.memory().tensors).toBe(live)
  })

  test('that a worker makes as its last act is computed and arrives, though the worker is gone', async () => {
    const last = new Worker(file)
    const gone = once(last, 'exit')
    const shared = await ask('resultAndEnd', {}, last)
    await gone
    using result = torch.fromShared(shared as torch.SharedTensor)
    expect(await result.item()).toBe(200)
  })
})

describe('a handle', () => {
  test('is good once', async () => {
    using x = torch.ones([2])
    const shared = torch.share(x)
    expect(await ask('values', { shared })).toMatchObject({ values: [1, 1] })
    expect(await ask('refused', { shared })).toBe('ERR_SCHEMA')
    expect(() => torch.fromShared(shared)).toThrow(/good once/)
  })

  test('that is forged is refused', async () => {
    using x = torch.ones([2])
    const real = torch.share(x)
    const mark = Object.keys(real)[0] as string
    const live = torch.memory().tensors
    for (const token of ['0'.repeat(32), 'f'.repeat(32), '', 'x', 7, null, {}, [], 1n, -1, NaN]) {
      expect(() => torch.fromShared({ [mark]: token })).toThrow(/nothing waits/)
    }
    for (const other of [undefined, null, 5, 'text', [], {}, { token: 1 }]) {
      expect(() => torch.fromShared(other)).toThrow(/no handle/)
    }
    // One that is known and one that is not: neither is left behind.
    expect(() => torch.fromShared([real, { [mark]: '0'.repeat(32) }])).toThrow(/good once/)
    expect(torch.memory().tensors).toBe(live)
  })

  test('can be taken back, and is counted until then', () => {
    using x = torch.ones([2])
    const before = torch.memory().shared
    const shared = torch.share([x, x])
    expect(torch.memory().shared).toBe(before + 2)
    expect(torch.unshare(shared)).toBe(true)
    expect(torch.memory().shared).toBe(before)
    expect(torch.unshare(shared)).toBe(false)
    expect(() => torch.fromShared(shared)).toThrow(/good once/)
  })

  test('needs a tensor that is alive', () => {
    const x = torch.ones([2])
    x.dispose()
    const before = torch.memory().shared
    using y = torch.ones([2])
    expect(() => torch.share([y, x])).toThrow(torch.TensorDisposedError)
    expect(() => torch.share({ a: 1 })).toThrow(/found no tensor/)
    expect(torch.memory().shared).toBe(before)
  })
})
