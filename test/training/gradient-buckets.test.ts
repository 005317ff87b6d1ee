/** Gradients in buckets against those of a backward pass. */
import { afterEach, expect, test } from 'vitest'
import { SGD } from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'
import { GradientBuckets } from '#lib/training/gradient-buckets.js'
import { freePort } from '../torch/distributed/ranks.js'

/** One that fills a bucket of 25 MiB by itself, and small ones of several layouts around it. */
function parameters(): torch.Tensor[] {
  torch.manualSeed(3)
  const leaf = (shape: number[], channelsLast = false) => {
    const values = torch.randn(shape)
    const laid = channelsLast ? values.contiguous({ memoryFormat: 'channels_last' }) : values
    return laid.detach().requiresGrad_()
  }
  return [leaf([5]), leaf([1800, 4000]), leaf([4, 3, 3, 3], true), leaf([2, 7])]
}

const lossOf = (list: readonly torch.Tensor[], power: number) =>
  list.map((parameter) => parameter.pow(power).sum()).reduce((sum, term) => sum.add(term))

let list: torch.Tensor[] = []
afterEach(() => {
  for (const parameter of list) parameter.dispose()
})

test('hold the gradients, one after the other, and add those of a further pass', async () => {
  list = parameters()
  using buckets = new GradientBuckets(list)
  await torch.scopeAsync(async () => {
    const found = buckets.collect(lossOf(list, 2), { add: false })
    expect(found.map(({ shape }) => shape)).toEqual([[14 + 108 + 7_200_000], [5]])
    buckets.collect(lossOf(list, 3), { add: true })
    expect(list[0]?.grad).toBeNull()
    buckets.give()
    for (const parameter of list) {
      const p = (await parameter.data()) as Float32Array
      const g = (await (parameter.grad as torch.Tensor).data()) as Float32Array
      const off = g.reduce((most, value, i) => {
        const x = p[i] as number
        return Math.max(most, Math.abs(value - (2 * x + 3 * x * x)) / (1 + x * x))
      }, 0)
      expect(off).toBeLessThan(1e-6)
      expect(parameter.grad?.stride()).toEqual(parameter.stride())
    }
    // What is written to a bucket is a gradient at once.
    torch.noGrad(() => found[1]?.fill_(7))
    expect(await list[0]?.grad?.sum().item()).toBe(5 * 7)
    buckets.collect(lossOf(list, 2), { add: false })
    const twice = list[3]?.mul(2).sub(list[3].grad as torch.Tensor)
    expect(await twice?.abs().max().item()).toBe(0)
  })
})

test('go through a program that leaves no gradient behind, and one that reads them', async () => {
  list = parameters()
  using buckets = new GradientBuckets(list)
  const before = await torch.scopeAsync(async () => list[0]?.clone())
  using pass = torch.program((scale: torch.Tensor) => {
    const found = buckets.collect(lossOf(list, 2).mul(scale), { add: false })
    return { found }
  })
  const optimizer = new SGD(list, { lr: 0.25 })
  using update = torch.program(() => {
    buckets.give()
    optimizer.step()
    optimizer.zeroGrad()
    return null
  })
  await torch.scopeAsync(async () => {
    for (let i = 0; i < 3; i++) {
      const { found } = await pass(torch.tensor(1))
      torch.noGrad(() => found[1]?.mul_(0.5))
      await update()
    }
    // p - 0.25 * 0.5 * 2 p, three times
    const wanted = before?.mul(0.75 ** 3)
    expect(
      await list[0]
        ?.sub(wanted as torch.Tensor)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-6)
    expect(pass.calls.replayed).toBe(2)
    expect(update.calls.replayed).toBe(2)
    for (const { graph } of [pass, update]) expect(graph).toBe('none: its tensors are on the CPU')
    expect(list[0]?.grad).toBeNull()
  })
  before?.dispose()
})

test('are sent by the program itself, each when it is full and the pass still goes on', async () => {
  list = parameters()
  const place = { initMethod: `tcp://127.0.0.1:${await freePort()}`, rank: 0, worldSize: 1 }
  await torch.distributed.initProcessGroup('gloo', place)
  using buckets = new GradientBuckets(list)
  using pass = torch.program((add: boolean) => ({
    found: buckets.collect(lossOf(list, 2), { add, exchange: true }),
  }))
  await torch.scopeAsync(async () => {
    // Recorded, replayed, and on top of what is there.
    for (const [add, times] of [
      [false, 1],
      [false, 1],
      [true, 2],
      [true, 3],
    ] as const) {
      const { found } = await pass(add)
      for (const bucket of found) await torch.distributed.exchanged(bucket).wait()
      buckets.give()
      for (const parameter of list) {
        const off = parameter.mul(2 * times).sub(parameter.grad as torch.Tensor)
        expect(await off.abs().max().item()).toBeLessThan(1e-5)
        parameter.grad = null
      }
    }
  })
  expect(pass.calls).toMatchObject({ recorded: 2, replayed: 2 })
  const lines = pass.toString().split('\n# ')[0]?.split('\n') ?? []
  const at = (operator: string) => lines.flatMap((line, i) => (line.includes(operator) ? [i] : []))
  const [sent, copied] = [at('landmark_diffusion::begin_exchange('), at('aten::copy_(')]
  expect([sent.length, copied.length]).toEqual([2, 4])
  expect(sent[0]).toBeLessThan(copied[3] as number)
  await expect(torch.distributed.exchanged(list[0] as torch.Tensor).wait()).rejects.toThrow(
    /no exchange of this tensor was begun/,
  )
  await torch.distributed.destroyProcessGroup()
})
