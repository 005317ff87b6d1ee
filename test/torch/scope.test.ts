import { EventEmitter } from 'node:events'
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

const live = () => torch.memory().tensors
const pause = () => new Promise((resolve) => setTimeout(resolve, 1))

describe('scopes', () => {
  test('free what was made inside, except the result', async () => {
    const before = live()
    const result = torch.scope(() => torch.ones([3]).add(1).mul(2))
    expect(live()).toBe(before + 1)
    expect(await result.tolist()).toEqual([4, 4, 4])
    result.dispose()
    expect(live()).toBe(before)
  })

  test('keep tensors in arrays, maps and plain objects of the result', () => {
    const before = live()
    const result = torch.scope(() => ({
      list: [torch.ones([1]), torch.ones([1])],
      map: new Map([['a', torch.ones([1])]]),
      waste: void torch.ones([1]),
    }))
    expect(live()).toBe(before + 3)
    for (const tensor of [...result.list, ...result.map.values()]) tensor.dispose()
  })

  test('hand a result to the scope around them', () => {
    const before = live()
    torch.scope(() => {
      const inner = torch.scope(() => torch.ones([1]))
      expect(inner.disposed).toBe(false)
      return 0
    })
    expect(live()).toBe(before)
  })

  test('follow async code, and concurrent ones do not mix', async () => {
    const before = live()
    const task = (n: number) =>
      torch.scopeAsync(async () => {
        const x = torch.full([1], n)
        await pause()
        const y = x.mul(2)
        await pause()
        return y
      })
    const results = await Promise.all([1, 2, 3, 4].map(task))
    expect(live()).toBe(before + 4)
    expect(await Promise.all(results.map((y) => y.item()))).toEqual([2n, 4n, 6n, 8n])
    for (const y of results) y.dispose()
  })

  test('free everything when the function throws', async () => {
    const before = live()
    expect(() =>
      torch.scope(() => {
        torch.ones([1])
        throw new Error('no')
      }),
    ).toThrow('no')
    await expect(
      torch.scopeAsync(async () => {
        torch.ones([1])
        await pause()
        torch.ones([1])
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(live()).toBe(before)
  })

  test('a kept tensor outlives every scope', () => {
    const x = torch.scope(() => torch.scope(() => [torch.keep(torch.ones([1]))]))[0] as torch.Tensor
    expect(x.disposed).toBe(false)
    x.dispose()
  })

  test('an async function is refused by the plain scope', () => {
    // @ts-expect-error: the types refuse it too
    expect(() => torch.scope(async () => 1)).toThrow(/scopeAsync/)
  })

  test('a disposed tensor throws where it is used', async () => {
    const x = torch.ones([2, 3])
    x.dispose()
    x.dispose()
    expect(() => x.add(1)).toThrow(torch.TensorDisposedError)
    await expect(x.data()).rejects.toThrow(/float32\[2, 3\]\) is disposed/)
  })

  test('a tensor may be disposed while an op on it is queued', async () => {
    const x = torch.ones([4])
    const y = x.add(1)
    x.dispose()
    torch.zeros([4])
    expect(await y.tolist()).toEqual([2, 2, 2, 2])
  })

  test('bytes are given back', async () => {
    await torch.synchronize()
    const before = torch.memory().bytes
    const x = torch.zeros([1024, 1024])
    await torch.synchronize()
    expect(torch.memory().bytes).toBeGreaterThanOrEqual(before + 2 ** 22)
    x.dispose()
    await torch.synchronize()
    expect(torch.memory().bytes).toBe(before)
    torch.emptyCache()
    await torch.synchronize()
    expect(torch.memory().cachedBytes).toBe(0)
  })

  test('hold each branch of a Promise.all apart, also when one fails', async () => {
    const before = live()
    const branch = (n: number) =>
      torch.scopeAsync(async () => {
        const x = torch.full([2], n)
        await pause()
        if (n === 2) throw new Error('branch 2')
        await pause()
        return x
          .add(torch.ones([2]))
          .sum()
          .item()
      })
    const results = await Promise.allSettled([1, 2, 3].map(branch))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(live()).toBe(before)
  })

  test('own what a generator makes while they ask it for the next value', () => {
    const before = live()
    function* batches() {
      for (let i = 0; i < 3; i++) yield torch.full([1], i)
    }
    const generator = batches()
    for (let i = 0; i < 3; i++) {
      torch.scope(() => {
        const { value } = generator.next()
        expect(value).toBeInstanceOf(torch.Tensor)
        expect(live()).toBe(before + 1)
      })
      expect(live()).toBe(before)
    }
  })

  test('own what async generators and the listeners of an emitter make', async () => {
    const before = live()
    async function* batches() {
      for (let i = 0; i < 3; i++) {
        await pause()
        yield torch.full([1], i)
      }
    }
    const emitter = new EventEmitter()
    emitter.on('batch', (x: torch.Tensor) => x.add(1))
    await torch.scopeAsync(async () => {
      for await (const x of batches()) emitter.emit('batch', x)
      expect(live()).toBe(before + 6)
    })
    expect(live()).toBe(before)
  })

  test('that have ended leave the tensors of work that goes on to the scope around them', async () => {
    const before = live()
    await torch.scopeAsync(async () => {
      const late = torch.scope(() => [
        () => new Promise<torch.Tensor>((done) => setTimeout(() => done(torch.ones([1])), 5)),
      ])
      const started = torch.scope(() => ({ running: late[0]?.() }))
      const x = (await started.running) as torch.Tensor
      expect(x.disposed).toBe(false)
      expect(torch.memory().scopes.at(-1)?.tensors).toBe(1)
    })
    expect(live()).toBe(before)
  })

  test('that last long do not remember tensors that are freed', async () => {
    const before = live()
    await torch.scopeAsync(async () => {
      const first = torch.ones([1])
      for (let i = 0; i < 5000; i++) torch.ones([1]).dispose()
      expect(torch.memory().scopes).toEqual([{ name: null, tensors: 1, bytes: 4, made: 5001 }])
      expect(first.disposed).toBe(false)
    })
    expect(live()).toBe(before)
  })

  test('hold a producer back at their end, where the queue is half full', async () => {
    const x = torch.ones([64, 64])
    const step = () =>
      torch.scopeAsync(async () => {
        let y = x
        for (let i = 0; i < 400; i++) y = y.matmul(x)
      })
    // Far more than the queue holds; nothing here awaits a value.
    let most = 0
    for (let i = 0; i < 100; i++) {
      await step()
      most = Math.max(most, torch.memory().queued)
    }
    // Records of two inputs take twelve words, the queue holds 2^18.
    expect(most).toBeLessThanOrEqual(2 ** 17 / 12 + 500)
    x.dispose()
  })
})
