/** What a program is to be careful with: shared memory, gradients, random numbers, JavaScript in the graph, errors. */
import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import * as nn from '#lib/nn/index.js'
import { Ema, SGD } from '#lib/optim/index.js'

type Tensor = torch.Tensor

const live = () => torch.memory().tensors
const list = async (value: Tensor | Promise<Tensor>) => await (await value).tolist()
const message = async (call: () => Promise<unknown>) => {
  const error = await call().then(
    () => null,
    (reason: Error & { code?: string }) => reason,
  )
  return `${error?.code}: ${error?.message}`
}

describe('memory', () => {
  test('a captured tensor is seen as it is at each call, and what is written to it is seen outside', async () => {
    const w = torch.ones([2])
    const run = torch.program((x: Tensor) => x.mul(w.add_(1)))
    expect(await list(run(torch.ones([2])))).toEqual([2, 2])
    expect(await list(run(torch.ones([2])))).toEqual([3, 3])
    w.fill_(10)
    expect(await list(run(torch.ones([2])))).toEqual([11, 11])
    expect(await list(w)).toEqual([11, 11])
  })

  test('a captured tensor lives on where its handle was disposed', async () => {
    const w = torch.ones([2])
    const run = torch.program((x: Tensor) => x.add(w))
    await run(torch.ones([2]))
    w.dispose()
    expect(await list(run(torch.ones([2])))).toEqual([2, 2])
  })

  test('views share memory: what is written through one is read through the other', async () => {
    const fn = (x: Tensor) => {
      const own = x.clone()
      const row = own.select(0, 1)
      const flat = own.reshape([-1])
      row.add_(flat.narrow(0, 0, 2))
      own.t().mul_(2)
      return [flat, row, own.transpose(0, 1)]
    }
    const run = torch.program(fn)
    for (const value of [1, 2, 3]) {
      const x = torch.full([2, 2], value)
      const [results, expected] = [await run(x), fn(x)]
      expect(await Promise.all(results.map(list))).toEqual(await Promise.all(expected.map(list)))
    }
  })

  test('an argument written in place changes the tensor of the caller', async () => {
    const run = torch.program((x: Tensor) => x.add_(1).sum())
    for (let i = 0; i < 2; i++) {
      const x = torch.zeros([2])
      expect(await (await run(x)).item()).toBe(2)
      expect(await list(x)).toEqual([1, 1])
    }
  })

  test('holds nothing between calls but what it captured, and frees it with dispose()', async () => {
    const before = live()
    await torch.scopeAsync(async () => {
      const run = torch.program((x: Tensor) => x.mul(2).add(1).softmax(0))
      const x = torch.randn([64])
      await run(x)
      const during = live()
      for (let i = 0; i < 5; i++) (await run(x)).dispose()
      expect(live()).toBe(during)
      run.dispose()
      expect(await message(() => run(x))).toMatch(/^ERR_DISPOSED/)
    })
    expect(live()).toBe(before)
  })

  test('lets go of each tensor at its last use', async () => {
    const run = torch.program((x: Tensor) => {
      let y = x
      for (let i = 0; i < 10; i++) y = y.add(1)
      return y.sum()
    })
    await run(torch.zeros([1000]))
    const { madeBytes, peakBytes } = run.stats()
    expect(madeBytes).toBe(10 * 4000 + 4)
    expect(peakBytes).toBe(2 * 4000)
  })
})

describe('gradients', () => {
  test('that a program leaves are those of its function, also where they accumulate', async () => {
    const data = [torch.randn([3]), torch.randn([3]), torch.randn([3])]
    const trainer = () => {
      const w = torch.ones([3]).requiresGrad_()
      const backward = (x: Tensor) => {
        const loss = w.mul(x).square().sum()
        loss.backward()
        return loss
      }
      return { w, backward }
    }
    const [eager, recorded] = [trainer(), trainer()]
    const run = torch.program(recorded.backward)
    for (let round = 0; round < 3; round++) {
      for (const x of data) {
        const loss = eager.backward(x)
        expect(await list(run(x))).toBe(await list(loss))
        expect(await list(recorded.w.grad as Tensor)).toEqual(await list(eager.w.grad as Tensor))
      }
      torch.clearGradients([eager.w, recorded.w])
      expect(recorded.w.grad).toBeNull()
    }
    // One for the first gradient, one for what is added to it.
    expect(run.calls).toEqual({ recorded: 2, replayed: 7, plain: 0 })
  })

  test('of an argument go to the argument', async () => {
    const run = torch.program((x: Tensor) => x.pow(3).sum().backward())
    for (const value of [1.5, 2.5, 3.5]) {
      const x = torch.full([1], value).requiresGrad_()
      await run(x)
      expect(await list(x.grad as Tensor)).toEqual([3 * value * value])
    }
    expect(run.calls).toEqual({ recorded: 1, replayed: 2, plain: 0 })
  })

  test('as values, and second derivatives', async () => {
    const fn = (x: Tensor) => {
      const leaf = x.detach().requiresGrad_()
      const [first] = torch.grad(leaf.sin().mul(leaf).sum(), leaf, { createGraph: true })
      const [second] = torch.grad((first as Tensor).sum(), leaf)
      return [first as Tensor, second as Tensor]
    }
    const run = torch.program(fn)
    for (let i = 0; i < 3; i++) {
      const x = torch.randn([4])
      const [results, expected] = [await run(x), fn(x)]
      expect(await Promise.all(results.map(list))).toEqual(await Promise.all(expected.map(list)))
      expect(results.map(({ requiresGrad }) => requiresGrad)).toEqual([false, false])
    }
  })

  test('refuses a tensor that has a history outside', async () => {
    const w = torch.ones([2]).requiresGrad_().mul(2)
    const run = torch.program((x: Tensor) => x.mul(w).sum().backward())
    expect(await message(() => run(torch.ones([2])))).toMatch(/^ERR_PROGRAM: .*history/)
  })

  test('hooks, custom functions and checkpoints are traced, with their random numbers', async () => {
    class Double extends torch.autograd.Function {
      static forward(_: torch.autograd.FunctionContext, x: Tensor) {
        return x.mul(2)
      }
      static backward(_: torch.autograd.FunctionContext, g: Tensor) {
        return g.mul(2)
      }
    }
    const w = torch.randn([8]).requiresGrad_()
    w.registerHook((g) => g.mul(10))
    const fn = (x: Tensor) => {
      const part = (v: Tensor) => torch.dropout(v.mul(w).tanh(), 0.5, true)
      const y = torch.checkpoint(part, Double.apply(x.mul(w)))
      y.square().sum().backward()
      const gradient = (w.grad as Tensor).clone()
      w.grad = null
      return [gradient, torch.rand([2])]
    }
    const results = async (run: (x: Tensor) => unknown) => {
      torch.manualSeed(3)
      const found = []
      for (let i = 0; i < 4; i++) {
        const made = (await run(torch.full([8], i + 1))) as Tensor[]
        found.push(await Promise.all(made.map(list)))
      }
      return found
    }
    const run = torch.program(fn)
    expect(await results(run)).toEqual(await results(fn))
    expect(run.calls).toEqual({ recorded: 1, replayed: 3, plain: 0 })
  })
})

describe('random numbers', () => {
  test('are new at each call, of the default generator and of one that was captured or given', async () => {
    const captured = new torch.Generator('cpu', 5)
    const fn = (given: torch.Generator) =>
      torch.stack([
        torch.rand([2]),
        torch.rand([2], { generator: captured }),
        torch.rand([2], { generator: given }),
      ])
    const results = async (call: (given: torch.Generator) => unknown) => {
      torch.manualSeed(1)
      captured.manualSeed(2)
      const found = []
      for (const seed of [7, 8, 8]) {
        using given = new torch.Generator('cpu', seed)
        found.push(await list((await call(given)) as Tensor))
      }
      return found
    }
    const expected = await results(fn)
    expect(await results(torch.program(fn))).toEqual(expected)
    expect(expected[0]).not.toEqual(expected[1])
  })
})

describe('what cannot be replayed is refused, with the line', () => {
  const here = /program-semantics\.test\.ts:\d+:\d+/

  test.each<[string, (x: Tensor) => unknown]>([
    ['reading a value', (x) => x.sum().item()],
    ['a promise', async (x) => x],
    ['reading a value in an async function', async (x) => await x.data()],
    ['a shape that depends on values', (x) => torch.call('aten::nonzero', [x])],
    ['a mask as an index', (x) => torch.call('aten::index.Tensor', [x, [x.gt(0)]])],
    ['seeding', () => torch.manualSeed(1)],
    ['a generator made inside', () => new torch.Generator('cpu', 1)],
  ])('%s', async (_, fn) => {
    const run = torch.program(fn as (x: Tensor) => Tensor)
    const text = await message(() => run(torch.ones([2])))
    expect(text).toMatch(/^ERR_PROGRAM: /)
    if (_ !== 'a promise') expect(text).toMatch(here)
    // The session goes on.
    expect(await list(torch.ones([1]))).toEqual([1])
  })

  test('numbers that an optimiser or an average would count on', async () => {
    const model = new nn.Linear(2, 2)
    const ema = new Ema(model)
    expect(await message(() => torch.program(() => ema.update())())).toMatch(/ema\.advance/)
    const sgd = new SGD(model.parameters(), { momentum: 0.9, dampening: 0.1 })
    const step = torch.program((x: Tensor) => {
      model.forward(x).sum().backward()
      sgd.step()
    })
    expect(await message(() => step(torch.ones([1, 2])))).toMatch(/ERR_PROGRAM: .*first step/)
  })

  test('arguments that are no data, and a program inside of a program', async () => {
    const inner = torch.program((x: Tensor) => x.add(1))
    expect(await message(() => torch.program((x: unknown) => x)(new Date()))).toMatch(/a Date/)
    const outer = torch.program((x: Tensor) => {
      void inner(x).catch(() => undefined)
      return x
    })
    await outer(torch.ones([1]))
    expect(inner.calls).toEqual({ recorded: 0, replayed: 0, plain: 0 })
    expect(() => torch.program((x: Tensor) => x, { passes: { no: true } })).toThrow(/no pass 'no'/)
  })
})

describe('errors', () => {
  test('of the function are those of the call, and the next call records again', async () => {
    let fails = true
    const run = torch.program((x: Tensor) => {
      if (fails) throw new RangeError('not yet')
      return x.add(1)
    })
    await expect(run(torch.ones([1]))).rejects.toThrow('not yet')
    fails = false
    expect(await list(run(torch.ones([1])))).toEqual([2])
    expect(await list(run(torch.ones([1])))).toEqual([2])
  })

  test('of a replay name the operator and the line that called it, and poison the results', async () => {
    const run = torch.program((index: Tensor) => torch.ones([3]).indexSelect(0, index).mul(2))
    const at = (i: bigint) => torch.tensor([i])
    expect(await list(run(at(2n)))).toEqual([2])
    const failed = await run(at(7n))
    const error = await failed.item().catch((reason: Error) => reason)
    expect(String(error)).toMatch(/aten::index_select\(Float\[3\], Long\[1\]\): .*out of range/s)
    expect((error as Error).stack).toMatch(/program-semantics\.test\.ts:\d+/)
    expect(await list(run(at(1n)))).toEqual([2])
  })

  test('come from the guards at each replay, because indices may be others', async () => {
    const run = torch.program(
      (index: Tensor) =>
        torch.call('aten::embedding_dense_backward', [
          torch.ones([1, 2]),
          index,
          3,
          -1,
          false,
        ]) as Tensor,
    )
    const at = (i: number) => torch.tensor([i], { dtype: 'int64' })
    expect(await list((await run(at(2))).sum(1))).toEqual([0, 0, 2])
    const failed = await run(at(2 ** 40))
    await expect(failed.data()).rejects.toMatchObject({ code: 'ERR_OP' })
    expect(await list((await run(at(0))).sum(1))).toEqual([2, 0, 0])
  })

  test('of an argument reach the results', async () => {
    const run = torch.program((x: Tensor) => x.add(1))
    const index = (i: bigint) => torch.ones([3]).indexSelect(0, torch.tensor([i]))
    await run(index(0n))
    const failed = await run(index(9n))
    await expect(failed.item()).rejects.toThrow(/index_select/)
    await torch.synchronize().catch(() => undefined)
  })
})

test('several programs and plain operators interleave as they were called', async () => {
  const w = torch.zeros([1])
  const [add, double] = [
    torch.program((x: Tensor) => w.add_(x).clone()),
    torch.program(() => w.mul_(2).clone()),
  ]
  const one = torch.ones([1])
  const results = [add(one), double(), add(one), double(), add(one), add(one), double()]
  w.add_(100)
  const values = await Promise.all(results.map(list))
  expect(values.flat()).toEqual([1, 2, 3, 6, 7, 8, 16])
  expect(await list(w)).toEqual([116])
})

test('it prints its operators with the lines that called them', async () => {
  const run = torch.program((x: Tensor) => x.mul(2).sum())
  expect(run.toString()).toBe('# not recorded yet\n')
  await run(torch.ones([2, 3]))
  expect(run.toString()).toMatch(/%0: float32\[2, 3\] = input 0/)
  expect(run.toString()).toMatch(
    /aten::mul\.Scalar\(%0, .*\) {2}# .*program-semantics\.test\.ts:\d+:\d+/,
  )
  expect(run.toString()).toMatch(/return %\d+\n$/)
})
