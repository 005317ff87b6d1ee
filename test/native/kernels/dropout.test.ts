/** dropout: its mask is Philox's, word by word, and its gradient has the same mask. */
import { afterAll, describe, expect, it, test } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { expectNear, laidOut, type Tensor, type Tested } from './compare.js'

const threads = await torch.getNumThreads()
afterAll(() => torch.setNumThreads(threads))

const call = (x: Tensor, p: number) =>
  torch.call('landmark_diffusion::dropout', [x, p]) as [Tensor, Tensor]
const backward = (dy: Tensor, seed: Tensor, p: number, channelsLast = false) =>
  torch.call('landmark_diffusion::dropout_backward', [dy, seed, p, channelsLast]) as Tensor

const seedOf = (seed: bigint) => torch.tensor([BigInt.asIntN(64, seed)]).reshape([])

/** Philox4x32-10 of Random123. */
function philox(counter: bigint, seed: bigint): number[] {
  const low = (word: bigint) => word & 0xffff_ffffn
  let [a, b, c, d] = [low(counter), counter >> 32n, 0n, 0n]
  let [k0, k1] = [low(seed), seed >> 32n]
  for (let round = 0; round < 10; round++) {
    const [first, second] = [0xd2511f53n * a, 0xcd9e8d57n * c]
    ;[a, b, c, d] = [(second >> 32n) ^ b ^ k0, low(second), (first >> 32n) ^ d ^ k1, low(first)]
    k0 = low(k0 + 0x9e3779b9n)
    k1 = low(k1 + 0xbb67ae85n)
  }
  return [a, b, c, d].map(Number)
}

/** The word of each element: 64 counters give a block of 256, first all first words, then all second ones. */
function words(count: number, seed: bigint): number[] {
  const blocks = Array.from({ length: Math.ceil(count / 256) }, (_, block) => {
    const counters = Array.from({ length: 64 }, (_, i) => philox(BigInt(64 * block + i), seed))
    return [0, 1, 2, 3].flatMap((word) => counters.map((four) => four[word] as number))
  })
  return blocks.flat().slice(0, count)
}

const kept = (count: number, seed: bigint, p: number) =>
  words(count, seed).map((word) => (word >= p * 2 ** 32 ? 1 : 0))

const sign = async (y: Tensor) =>
  [...(await y.to('float64').flatten().data())].map((value) => (value === 0 ? 0 : 1))

it('has the known answers of Philox', async () => {
  expect(philox(0n, 0n)).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
  // The first counter's words lie 64 elements apart: each is kept at the probability that is its own value, and not above.
  const ones = torch.ones([256])
  for (const [word, value] of philox(0n, 0n).entries()) {
    for (const [p, expected] of [
      [value / 2 ** 32, 1],
      [(value + 1) / 2 ** 32, 0],
    ] as const) {
      expect((await sign(backward(ones, seedOf(0n), p)))[64 * word]).toBe(expected)
    }
  }
})

test.each([
  [1, 5n, 0.5],
  [255, 0xfedc_ba98_7654_3210n, 0.1],
  [256, 1n, 0.9],
  [70_001, 0x0123_4567_89ab_cdefn, 0.1],
])('%d elements of seed %s at %d', async (count, seed, p) => {
  const expected = kept(count, seed, p)
  for (const n of [threads, 1]) {
    torch.setNumThreads(n)
    expect(await sign(backward(torch.ones([count]), seedOf(seed), p))).toEqual(expected)
  }
})

describe('dropout', () => {
  test.each<Tested>(['float32', 'float64', 'bfloat16', 'float16'])(
    'keeps elements as they are but for their scale, in %s',
    async (dtype) => {
      torch.manualSeed(4)
      const x = torch.randn([3, 1000]).to(dtype).requiresGrad_()
      const [y, seed] = call(x, 0.25)
      const [dx] = torch.grad([y], [x], { gradOutputs: [torch.full([3, 1000], 3).to(dtype)] })
      const mask = kept(3000, BigInt.asUintN(64, (await seed.item()) as bigint), 0.25)
      const scale = torch.tensor(mask, { dtype: 'float64' }).reshape([3, 1000]).div(0.75)
      const near = dtype === 'bfloat16' ? 1e-2 : dtype === 'float16' ? 1e-3 : 1e-6
      expect(y.dtype).toBe(dtype)
      await expectNear([y, dx as Tensor], [x.to('float64').mul(scale), scale.mul(3)], near)
    },
  )

  test.each([
    ['contiguous', 'channels_last'],
    ['channels_last', 'contiguous'],
    ['strided', 'channels_last'],
  ] as const)('drops the same of a %s input and its %s gradient', async (layout, ofGradient) => {
    torch.manualSeed(1)
    const shape = [2, 5, 9, 7]
    const x = laidOut(torch.ones(shape), layout).requiresGrad_()
    const [y] = call(x, 0.5)
    const dy = laidOut(torch.ones(shape), ofGradient)
    const [dx] = torch.grad([y], [x], { gradOutputs: [dy] })
    expect(await sign(dx as Tensor)).toEqual(await sign(y))
  })

  it('drops as many as it should, and others in each call', async () => {
    torch.manualSeed(11)
    const count = 1 << 20
    const [[a], [b]] = [call(torch.ones([count]), 0.1), call(torch.ones([count]), 0.1)]
    const rate = async (y: Tensor) => ((await y.eq(0).to('float64').mean().item()) as number) - 0.1
    const deviation = Math.sqrt((0.1 * 0.9) / count)
    for (const y of [a, b]) expect(Math.abs(await rate(y))).toBeLessThan(4 * deviation)
    const both = a.eq(0).logicalAnd(b.eq(0)).to('float64').mean()
    expect(((await both.item()) as number) - 0.01).toBeLessThan(4 * Math.sqrt(0.01 / count))
  })

  it('of probability 0 keeps all, of 1 nothing', async () => {
    const x = torch.randn([300], { requiresGrad: true })
    expect(await call(x, 0)[0].data()).toEqual(await x.data())
    const [y] = call(x, 1)
    expect(await y.abs().sum().item()).toBe(0)
    expect(await torch.grad([y.sum()], [x])[0]?.abs().sum().item()).toBe(0)
    expect(call(torch.zeros([0, 3]), 0.5)[0].shape).toEqual([0, 3])
  })

  it('repeats itself after the same seed, op by op and in a program', async () => {
    const x = torch.randn([4, 100], { requiresGrad: true })
    const f = (x: Tensor) => {
      const [y] = call(x, 0.3)
      const [dx] = torch.grad([y.square().sum()], [x]) as [Tensor]
      return [y.detach(), dx] as const
    }
    const program = torch.program(f)
    await program(x)
    const results: Tensor[][] = []
    for (const run of [f, program, f, program]) {
      torch.manualSeed(6)
      results.push([...(await run(x)), ...(await run(x))])
    }
    const values = await Promise.all(results.map((each) => Promise.all(each.map((y) => y.data()))))
    for (const each of values) expect(each).toEqual(values[0])
    const [[first, , second]] = results as [Tensor[]]
    expect(await sign(second as Tensor)).not.toEqual(await sign(first as Tensor))
  })

  it('has second derivatives', async () => {
    const x = torch.randn([200], { requiresGrad: true })
    torch.manualSeed(2)
    const [y, seed] = call(x, 0.5)
    const [dx] = torch.grad([y.pow(3).sum()], [x], { createGraph: true }) as [Tensor]
    const [ddx] = torch.grad([dx.sum()], [x])
    const mask = backward(torch.ones([200]), seed, 0.5)
    await expectNear([ddx as Tensor], [x.mul(6).mul(mask.pow(3))], 1e-6)
  })

  const x = () => torch.ones([2, 3])
  test.each<[string, () => unknown]>([
    ['integers', () => call(torch.ones([3], { dtype: 'int64' }), 0.5)],
    ['a negative probability', () => call(x(), -0.1)],
    ['a probability above 1', () => call(x(), 1.1)],
    ['a probability that is no number', () => call(x(), Number.NaN)],
    ['sparse tensors', () => call(torch.call('aten::_to_sparse', [x()]) as Tensor, 0.5)],
    ['a seed of another dtype', () => backward(x(), torch.ones([]), 0.5)],
    ['several seeds', () => backward(x(), torch.ones([2], { dtype: 'int64' }), 0.5)],
    ['channels_last of two dimensions', () => backward(x(), seedOf(1n), 0.5, true)],
  ])('refuses %s', (_, run) => {
    expect(run).toThrow(/dropout/)
  })
})
