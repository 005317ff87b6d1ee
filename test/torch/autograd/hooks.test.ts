import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { callbacksLeft, expectClose, leaf, reference } from './reference.js'

describe('hooks', () => {
  test('run in the order of PyTorch, and what they return goes on', async () => {
    const x = leaf([1, 2])
    const y = x.mul(3)
    const z = y.exp()
    y.retainGrad()
    const seen: [string, torch.Tensor][] = []
    const named = (name: string, change: (g: torch.Tensor) => torch.Tensor | undefined) => {
      return (g: torch.Tensor) => {
        seen.push([name, torch.keep(g.clone())])
        return change(g)
      }
    }
    x.registerHook(named('x first', (g) => g.mul(2)))
    z.registerHook(named('z', (g) => g.add(1)))
    y.registerHook(named('y', (g) => g.div(2)))
    x.registerHook(named('x second', () => undefined))
    z.sum().backward()
    await expectClose(x.grad, reference.hooks.x)
    await expectClose(y.grad, reference.hooks.y)
    expect(seen.map(([name]) => name)).toEqual(reference.hooks.calls.map(([name]) => name))
    for (const [i, [, gradient]] of seen.entries()) {
      await expectClose(gradient, reference.hooks.calls[i]?.[1] as number[])
    }
  })

  test('a removed hook is still called by passes queued before, and by none after', async () => {
    const x = leaf([1])
    let calls = 0
    const handle = x.registerHook(() => {
      calls++
    })
    x.mul(2).sum().backward()
    handle.remove()
    handle.remove()
    x.mul(2).sum().backward()
    await torch.synchronize()
    expect(calls).toBe(1)
    expect(await x.grad?.item()).toBe(4)
  })

  test('a thousand hooks change one gradient, one after the other', async () => {
    const x = leaf([0])
    const order: number[] = []
    for (let i = 0; i < 1000; i++) {
      x.registerHook((g) => {
        order.push(i)
        return g.add(1)
      })
    }
    x.sum().backward()
    expect(await x.grad?.item()).toBe(1001)
    expect(order).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  })

  test('what a hook makes is freed after it', async () => {
    const x = leaf([1, 2])
    x.registerHook((g) => g.mul(2).add(g.exp().sum()).mul(1))
    const loss = x.square().sum()
    await torch.synchronize()
    const before = torch.memory().tensors
    for (let i = 0; i < 10; i++) loss.backward({ retainGraph: true })
    await torch.synchronize()
    expect(torch.memory().tensors).toBe(before)
  })

  test('the function of a hook is let go with the graph that held it', async () => {
    const before = await callbacksLeft()
    await torch.scopeAsync(async () => {
      const x = leaf([1])
      x.mul(2).registerHook((g) => g)
      x.registerHook((g) => g)
      await torch.synchronize()
      expect(await callbacksLeft()).toBe(before + 2)
    })
    expect(await callbacksLeft()).toBe(before)
  })

  test('an error in a hook fails the backward pass, and comes as the cause at the next await', async () => {
    const x = leaf([1, 2])
    const thrown = new RangeError('no such landmark')
    x.registerHook(() => {
      throw thrown
    })
    const loss = x.square().sum()
    loss.backward()
    const error = await loss.item().then(
      () => null,
      (reason) => reason,
    )
    expect(error).toMatchObject({ code: 'ERR_OP', op: 'backward', cause: thrown })
    expect(error.message).toMatch(/RangeError: no such landmark/)
    const y = leaf([3])
    y.square().sum().backward()
    expect(await y.grad?.item()).toBe(6)
  })

  test.each([
    ['a promise', async (g: torch.Tensor) => g, /promise.*cannot wait/],
    ['a number', () => 3, /must return nothing or a tensor.*it returned number/],
    ['another shape', (g: torch.Tensor) => g.sum(), /must return .*float64\[2\].*float64\[\]/],
    ['another dtype', (g: torch.Tensor) => g.to('float32'), /must return .*float64.*float32/],
    [
      'a disposed tensor',
      (g: torch.Tensor) => {
        const result = g.mul(2)
        result.dispose()
        return result
      },
      /disposed/,
    ],
  ])('a hook that returns %s fails the pass with the reason', async (_, hook, reason) => {
    const x = leaf([1, 2])
    x.registerHook(hook as (g: torch.Tensor) => torch.Tensor)
    const loss = x.square().sum()
    loss.backward()
    await expect(loss.item()).rejects.toThrow(reason)
  })

  test('a tensor made after the backward() whose hook uses it is refused', async () => {
    const x = leaf([1])
    let factor = torch.tensor([2], { dtype: 'float64' })
    x.registerHook((g) => g.mul(factor))
    const loss = x.sum()
    loss.backward()
    factor = torch.tensor([3], { dtype: 'float64' })
    await expect(loss.item()).rejects.toThrow(/made after the backward\(\)/)
  })

  test('a tensor of the surroundings that a hook disposes of lives on for the ops queued before', async () => {
    const x = leaf([1])
    const other = torch.ones([3])
    x.registerHook(() => other.dispose())
    x.sum().backward()
    const sum = other.sum()
    // Seen for the first time, so it waits for the pass, and the hook runs meanwhile.
    torch.ones([3, 1, 4, 1, 5]).cumsum(2)
    expect(other.disposed).toBe(true)
    expect(await sum.item()).toBe(3)
  })

  test('only tensors that require a gradient take hooks', () => {
    const x = torch.ones([2])
    expect(() => x.registerHook(() => undefined)).toThrow(/does not require a gradient/)
    expect(() => x.retainGrad()).toThrow(/does not require a gradient/)
    expect(() => leaf([1]).registerHook(3 as never)).toThrow(/wants a function/)
  })

  test('a hook runs in the async context of its registration', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks')
    const store = new AsyncLocalStorage<string>()
    const seen: (string | undefined)[] = []
    const x = leaf([1])
    store.run('registered here', () =>
      x.registerHook(() => {
        seen.push(store.getStore())
      }),
    )
    await store.run('awaited here', async () => {
      x.sum().backward()
      await torch.synchronize()
    })
    expect(seen).toEqual(['registered here'])
  })
})

describe('a backward pass with hooks does not lock up', () => {
  test('when an op behind it is waited for', async () => {
    for (let i = 1; i <= 20; i++) {
      const x = leaf([1, 2])
      let calls = 0
      x.registerHook((g) => {
        calls++
        return g.mul(torch.ones([i, 2, 1], { dtype: 'float64' }).sum())
      })
      x.square().sum().backward()
      // Unknown shapes: the call waits for the executor, which waits for the hook.
      const sum = torch.ones([7, i, 11]).sum()
      expect(calls).toBe(1)
      expect(await sum.item()).toBe(77 * i)
      expect(await x.grad?.tolist()).toEqual([4 * i, 8 * i])
    }
  })

  test('when the queue is full behind it, and the op in the making is not lost', async () => {
    const x = leaf([1])
    x.registerHook((g) => g.mul(torch.full([1], 5, { dtype: 'float64' })))
    x.sum().backward()
    const counter = torch.zeros([1])
    const count = 40_000
    for (let i = 0; i < count; i++) counter.add_(1)
    expect(await counter.item()).toBe(count)
    expect(await x.grad?.item()).toBe(5)
  })

  test('when a hook runs a backward pass whose hook runs another', async () => {
    const nested = (depth: number): torch.Tensor => {
      const x = leaf([2])
      x.registerHook((g) => (depth === 0 ? g : g.mul(nested(depth - 1))))
      torch.enableGrad(() => x.square().sum()).backward()
      return x.grad as torch.Tensor
    }
    const loss = nested(5)
    expect(await loss.item()).toBe(4 ** 6)
  })

  test('when tasks with and without hooks are interleaved', async () => {
    const task = async (seed: number) => {
      for (let i = 0; i < 20; i++) {
        await torch.scopeAsync(async () => {
          const x = leaf([seed])
          if (seed % 2 === 0) x.registerHook((g) => g.mul(10))
          await Promise.resolve()
          torch.noGrad(() => x.mul(2))
          x.square().sum().backward()
          const value = await x.grad?.item()
          expect(value).toBe(seed % 2 === 0 ? 20 * seed : 2 * seed)
        })
      }
    }
    await Promise.all([1, 2, 3, 4].map(task))
  })
})
