import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import * as nn from '#lib/nn/index.js'
import { AdamW, clipGradNorm_, Ema } from '#lib/optim/index.js'

type Tensor = torch.Tensor
type Step = (x: Tensor, y: Tensor) => Tensor

/** A small network with its optimiser, the same for the same seed. */
function trainee(seed = 7) {
  torch.manualSeed(seed)
  const model = new nn.Sequential(
    new nn.Conv2d(2, 8, 3, { padding: 1 }),
    new nn.GroupNorm(2, 8),
    new nn.SiLU(),
    new nn.Dropout(0.2),
    new nn.Conv2d(8, 2, 3, { padding: 1 }),
  )
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-2 })
  const ema = new Ema(model, { decay: 0.9 })
  const step = (x: Tensor, y: Tensor) => {
    const loss = torch.mseLoss(model.forward(x), y)
    loss.backward()
    clipGradNorm_(model.parameters(), 1)
    optimizer.step()
    optimizer.zeroGrad()
    ema.update(0.1)
    return loss
  }
  const state = async () => {
    const all = [...model.parameters(), ...Object.values(ema.stateDict())]
    return await Promise.all(all.map((tensor) => tensor.tolist()))
  }
  return { step, state }
}

describe('a program', () => {
  test('gives what its function gives, for new values each time', async () => {
    const w = torch.randn([3, 3])
    const fn = (x: Tensor) => torch.linear(x, w).softmax(1).mul(2)
    const run = torch.program(fn)
    for (let i = 0; i < 3; i++) {
      const x = torch.randn([2, 3])
      const result = await run(x)
      expect(await result.tolist()).toEqual(await fn(x).tolist())
    }
    expect(run.stats()).toMatchObject({ recorded: 1, replayed: 2 })
  })

  test('takes and gives arrays and objects, and plain values as constants', async () => {
    const run = torch.program((x: { a: Tensor; b: Tensor[] }, scale: number) => ({
      sum: x.b.reduce((sum, b) => sum.add(b), x.a).mul(scale),
      scale,
      nothing: null,
    }))
    const a = torch.ones([2])
    for (const scale of [2, 2, 3, 3]) {
      const { sum, ...rest } = await run({ a, b: [a, a] }, scale)
      expect(await sum.tolist()).toEqual([3 * scale, 3 * scale])
      expect(rest).toEqual({ scale, nothing: null })
    }
    expect(run.stats()).toMatchObject({ recorded: 2, replayed: 2, recordings: 2 })
  })

  test('records anew for other shapes, dtypes and modes, and forgets the oldest recording', async () => {
    const run = torch.program((x: Tensor) => x.mul(2).sum(), { recordings: 2 })
    const total = async (x: Tensor) => Number(await (await run(x)).item())
    expect(await total(torch.ones([2]))).toBe(4)
    expect(await total(torch.ones([3]))).toBe(6)
    expect(await total(torch.ones([3]))).toBe(6)
    expect(run.stats()).toMatchObject({ recorded: 2, replayed: 1, recordings: 2 })
    expect(await total(torch.ones([3], { dtype: 'float64' }))).toBe(6)
    expect(run.stats()).toMatchObject({ recorded: 3, recordings: 2 })
    expect(await total(torch.ones([2]))).toBe(4)
    expect(run.stats()).toMatchObject({ recorded: 4, recordings: 2 })
    const halved = await torch.autocast('cpu', 'bfloat16', () => run(torch.ones([2])))
    expect(await halved.item()).toBe(4)
    expect(run.stats()).toMatchObject({ recorded: 5 })
  })

  test('leaves out calls that are cancelled before they begin, and goes on after them', async () => {
    const count = torch.zeros([1])
    const slow = torch.randn([400, 400])
    const run = torch.program(
      (x: Tensor) => {
        let y = slow
        for (let i = 0; i < 20; i++) y = y.matmul(slow).clamp(-1, 1)
        count.add_(1)
        return x.add(count).add(y.mean().mul(0))
      },
      { ahead: 100 },
    )
    // Two recordings, whose calls take turns.
    const x = torch.zeros([1])
    const same = torch.zeros([1, 1])
    const calls = (times: number) =>
      Array.from({ length: times }, (_, i) => run(i % 2 === 0 ? x : same))
    for (const call of calls(2)) await (await call).add(1).data()
    const results = await Promise.all(calls(30))
    run.cancel()
    const after = results.map((result) => result.add(1))
    const outcomes = await Promise.allSettled(results.map((result) => result.item()))
    const done = outcomes.filter(({ status }) => status === 'fulfilled').length
    expect(done).toBeLessThan(30)
    // Those left out are the last ones, and did nothing; who uses their results is told the same.
    expect(outcomes.slice(0, done).map((one) => 'value' in one && one.value)).toEqual(
      Array.from({ length: done }, (_, i) => i + 3),
    )
    for (const rejected of await Promise.allSettled(after.slice(done).map((one) => one.item())))
      expect(rejected).toMatchObject({ reason: { code: 'ERR_ABORTED' } })
    // Nobody is left to be told of it.
    await torch.synchronize()
    expect(await (await run(x)).item()).toBe(done + 3)
  })

  test('is a whole training step: backward, clipping, AdamW and averages, bit for bit', async () => {
    const data = Array.from({ length: 4 }, () => [
      torch.randn([2, 2, 6, 6]),
      torch.randn([2, 2, 6, 6]),
    ])
    const results = async (wrap: (step: Step) => (x: Tensor, y: Tensor) => unknown) => {
      const { step, state } = trainee()
      const call = wrap(step)
      const losses: unknown[] = []
      for (const [x, y] of data as [Tensor, Tensor][]) {
        losses.push(await ((await call(x, y)) as Tensor).item())
      }
      return { losses, state: await state() }
    }
    const eager = await results((step) => step)
    const replayed = await results((step) => {
      const program = torch.program(step)
      return async (x, y) => {
        const loss = await program(x, y)
        expect(program.stats().recorded).toBe(1)
        return loss
      }
    })
    expect(new Set(eager.losses).size).toBe(4)
    expect(replayed).toEqual(eager)
  })

  test('gives the same with every pass switched off, from more operators', async () => {
    const [x, y] = [torch.randn([2, 2, 6, 6]), torch.randn([2, 2, 6, 6])]
    const off = Object.fromEntries(Object.keys(torch.programPasses()).map((name) => [name, false]))
    const results = async (passes: Record<string, boolean>) => {
      const { step, state } = trainee()
      // What nobody uses, for deadCode.
      const run = torch.program(
        (a: Tensor, b: Tensor) => {
          a.mul(3).exp()
          return step(a, b)
        },
        { passes },
      )
      for (let i = 0; i < 3; i++) await run(x, y)
      const { instructions, passes: changed } = run.stats()
      return { state: await state(), instructions, changed }
    }
    const [on, none] = [await results({ identities: true, deadCode: true }), await results(off)]
    expect(on.state).toEqual(none.state)
    expect(none.changed).toEqual([])
    expect(on.changed).toEqual(expect.arrayContaining(['identities', 'deadCode']))
    expect(on.instructions).toBeLessThan(none.instructions)
  })

  test('needs no more memory at its peak than its function, and plans no more', async () => {
    const [x, y] = [torch.randn([4, 2, 64, 64]), torch.randn([4, 2, 64, 64])]
    const peakOf = async (run: () => Promise<unknown>) => {
      await run()
      await torch.synchronize()
      const before = torch.memory().devices.cpu?.bytes ?? 0
      torch.resetPeakMemory()
      await run()
      await torch.synchronize()
      return (torch.memory().devices.cpu?.peakBytes ?? 0) - before
    }
    const eager = trainee().step
    const program = torch.program(trainee().step)
    const op = await peakOf(async () => torch.scope(() => void eager(x, y)))
    const replayed = await peakOf(async () => (await program(x, y)).dispose())
    expect(program.calls).toMatchObject({ recorded: 1, replayed: 1 })
    expect(replayed).toBeLessThanOrEqual(op)
    // What kernels use inside is not in the plan.
    expect(program.stats().peakBytes).toBeLessThanOrEqual(replayed)
    expect(program.stats().peakBytes).toBeGreaterThan(replayed / 2)
  })
})
