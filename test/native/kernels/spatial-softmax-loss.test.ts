/** spatial_softmax_loss and its gradient against libtorch's operators in float64. */
import { describe, expect, it, test } from 'vitest'
import * as torch from '#lib/torch/index.js'
import {
  expectNear,
  type Layout,
  laidOut,
  type Tensor,
  type Tested,
  tolerances,
} from './compare.js'

interface Case {
  shape: [number, number, number, number]
  dtype?: Tested
  layout?: Layout
}

const cases: Case[] = [
  { shape: [1, 19, 48, 40], layout: 'channels_last' },
  { shape: [1, 19, 192, 160] },
  { shape: [2, 19, 24, 20], layout: 'channels_last' },
  { shape: [3, 5, 7, 9], layout: 'strided' },
  { shape: [2, 1, 1, 1] },
  { shape: [2, 33, 3, 5], layout: 'channels_last' },
  { shape: [2, 4, 9, 11], dtype: 'float64', layout: 'channels_last' },
  { shape: [2, 4, 9, 11], dtype: 'bfloat16', layout: 'channels_last' },
  { shape: [2, 4, 9, 11], dtype: 'float16' },
]

function inputs({ shape, dtype = 'float32', layout = 'contiguous' }: Case) {
  torch.manualSeed(3)
  const [images, channels, height, width] = shape
  const mask = torch.rand([images, channels]).gt(0.3).to('float32')
  mask.select(0, 0).select(0, 0).fill_(1)
  return {
    logits: laidOut(torch.randn(shape).mul(4).to(dtype), layout),
    target: torch.randint(0, height * width, [images, channels]),
    mask,
  }
}

type Given = ReturnType<typeof inputs>
/** nll, mse, largest, exponentials */
type Results = [Tensor, Tensor, Tensor, Tensor]

/** The definition, by libtorch's operators. */
function theirs({ target, mask }: Given, logits: Tensor): Results {
  const flat = logits.flatten(2)
  const weight = mask.to('float64')
  const known = weight.sum().clamp(1)
  const sums = flat.logsumexp([2])
  const largest = flat.amax([2])
  const picked = flat.gather(2, target.unsqueeze(2)).squeeze(2)
  const hot = torch.full(flat.shape, -1, { dtype: 'float64' })
  hot.scatter_(2, target.unsqueeze(2), weight.mul(2).sub(1).unsqueeze(2))
  const nll = sums.sub(picked).mul(weight).sum().div(known)
  const mse = flat.sub(hot).square().mean([2]).mul(weight).sum().div(known)
  return [nll, mse, largest, sums.sub(largest).exp()]
}

const ours = ({ target, mask }: Given, logits: Tensor) =>
  torch.call('landmark_diffusion::spatial_softmax_loss', [logits, target, mask]) as Results

describe('spatial_softmax_loss', () => {
  test.each(
    cases.map(
      (each) => [`[${each.shape}] ${each.dtype ?? 'float32'} ${each.layout ?? ''}`, each] as const,
    ),
  )('%s', async (_, each) => {
    const given = inputs(each)
    const near = 4 * tolerances[each.dtype ?? 'float32']
    const logits = given.logits.detach().requiresGrad_()
    const wide = given.logits.detach().to('float64').requiresGrad_()
    const [a, b] = [ours(given, logits), theirs(given, wide)]
    await expectNear(a, b, near)
    const gradient = ([nll, mse]: Results, x: Tensor) =>
      torch.grad([nll.mul(0.7).add(mse.mul(3))], [x])
    const found = gradient(a, logits)
    await expectNear(found, gradient(b, wide), near)
    if (each.layout !== 'strided') expect(found[0]?.stride()).toEqual(given.logits.stride())
  })

  // What a bias before the logits gets. The likelihood's part is 0, as the softmax sums to 1, and what is left is a
  // hundredth of what was added up.
  test.each([0, 1, 4, 30])(
    'keeps sums of its gradient over the pixels to 5e-6, for logits of size %s',
    async (size) => {
      const given = inputs({ shape: [1, 19, 192, 160], layout: 'channels_last' })
      const sums = (of: typeof ours, dtype: Tested) => {
        const logits = given.logits
          .mul(size / 4)
          .add(0.3)
          .to(dtype)
          .detach()
          .requiresGrad_()
        const [nll, mse] = of(given, logits)
        return torch
          .grad([nll.add(mse.mul(0.01))], [logits])[0]
          ?.to('float64')
          .sum([2, 3]) as Tensor
      }
      await expectNear([sums(ours, 'float32')], [sums(theirs, 'float64')], 5e-6)
    },
  )

  it('is 0 where nothing is known, whatever the targets say', async () => {
    const logits = torch.randn([1, 2, 3, 3], { requiresGrad: true })
    const given = {
      logits,
      target: torch.full([1, 2], -5, { dtype: 'int64' }),
      mask: torch.zeros([1, 2]),
    }
    const [nll, mse] = ours(given, logits)
    expect([await nll.item(), await mse.item()]).toEqual([0, 0])
    const [gradient] = torch.grad([nll.add(mse)], [logits])
    expect(Number(await gradient?.abs().sum().item())).toBe(0)
  })

  it('stays finite where logits are large, and says so where they are not numbers', async () => {
    const given = inputs({ shape: [1, 1, 2, 2] })
    const large = torch.tensor(Float32Array.from([1e4, -1e4, 0, 1e4]), { shape: [1, 1, 2, 2] })
    expect(Number.isFinite(await ours(given, large)[0].item())).toBe(true)
    const nothing = torch.full([1, 1, 2, 2], Number.NaN)
    expect(await ours(given, nothing)[0].item()).toBeNaN()
  })

  const x = () => torch.ones([1, 2, 3, 3])
  const t = () => torch.zeros([1, 2], { dtype: 'int64' })
  const m = () => torch.ones([1, 2])
  test.each<[string, () => unknown[]]>([
    ['targets outside', () => [x(), torch.full([1, 2], 9, { dtype: 'int64' }), m()]],
    ['negative targets', () => [x(), torch.full([1, 2], -1, { dtype: 'int64' }), m()]],
    ['targets of another shape', () => [x(), torch.zeros([2], { dtype: 'int64' }), m()]],
    ['targets that are floats', () => [x(), m(), m()]],
    ['a mask of another dtype', () => [x(), t(), m().to('float64')]],
    ['logits of three dimensions', () => [torch.ones([2, 3, 3]), t(), m()]],
    ['logits without pixels', () => [torch.ones([1, 2, 0, 3]), t(), m()]],
  ])('refuses %s', async (_, args) => {
    const run = async () =>
      await (torch.call('landmark_diffusion::spatial_softmax_loss', args()) as Tensor[])[0]?.item()
    await expect(run()).rejects.toThrow(/spatial_softmax_loss/)
  })
})
