/** group_norm, group_norm_silu and joined_group_norm_silu against libtorch's operators in float64. */
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
  shape: number[]
  groups: number
  dtype?: Tested
  layout?: Layout
  affine?: boolean
}

/** The U-Net's shapes at 192x160 (all channel counts, at a quarter of the size), and odd ones. */
const cases: Case[] = [
  ...[32, 64, 96, 128, 192, 256, 384, 512, 1024].map((channels) => ({
    shape: [1, channels, 12, 10],
    groups: 32,
    layout: 'channels_last' as const,
  })),
  { shape: [1, 32, 48, 40], groups: 32 },
  { shape: [2, 32, 96, 80], groups: 8, layout: 'channels_last' },
  { shape: [2, 6, 7, 5], groups: 3, layout: 'channels_last' },
  { shape: [2, 6, 7, 5], groups: 3 },
  { shape: [3, 5, 3, 3], groups: 1, layout: 'strided' },
  { shape: [2, 7, 1, 1], groups: 1, layout: 'channels_last' },
  { shape: [4, 6], groups: 2 },
  { shape: [2, 4, 9], groups: 2, affine: false },
  { shape: [2, 4, 3, 3, 3], groups: 4 },
  { shape: [2, 12, 6, 6], groups: 4, dtype: 'float64', layout: 'channels_last' },
  { shape: [2, 12, 6, 6], groups: 4, dtype: 'bfloat16', layout: 'channels_last' },
  { shape: [2, 12, 6, 6], groups: 4, dtype: 'bfloat16' },
  { shape: [2, 12, 6, 6], groups: 4, dtype: 'float16', layout: 'channels_last' },
]

const eps = 1e-6
const last = 'channels_last' as const

function inputs({ shape, dtype = 'float32', layout = 'contiguous', affine = true }: Case) {
  torch.manualSeed(1)
  const channels = shape[1] as number
  // A mean that is large beside the spread shows sums of squares that cancel.
  const x = laidOut(torch.randn(shape).mul(0.5).add(3).to(dtype), layout)
  const [weight, bias] = affine
    ? [torch.randn([channels]).to(dtype), torch.randn([channels]).to(dtype)]
    : [null, null]
  return { x, weight, bias, dy: laidOut(torch.randn(shape).to(dtype), layout) }
}

const leaf = (tensor: Tensor | null, dtype: Tested) =>
  tensor === null ? null : tensor.detach().clone().to(dtype).requiresGrad_()

/** y and the gradients of x, weight and bias, by autograd. */
function run(
  f: (x: Tensor, weight: Tensor | null, bias: Tensor | null) => Tensor,
  given: ReturnType<typeof inputs>,
  dtype: Tested,
) {
  // Not a clone: its strides are what is tested.
  const x =
    dtype === 'float64' ? (leaf(given.x, dtype) as Tensor) : given.x.detach().requiresGrad_()
  const [weight, bias] = [leaf(given.weight, dtype), leaf(given.bias, dtype)]
  const y = f(x, weight, bias)
  const wanted = [x, weight, bias].filter((tensor) => tensor !== null)
  return { y, gradients: torch.grad([y], wanted, { gradOutputs: [given.dy.to(dtype)] }) }
}

const title = ({ shape, groups, dtype = 'float32', layout = 'contiguous' }: Case) =>
  `[${shape}] in ${groups} groups, ${dtype}, ${layout}`

describe.each([true, false])('with SiLU: %s', (silu) => {
  const operator = `landmark_diffusion::group_norm${silu ? '_silu' : ''}`

  test.each(cases.map((each) => [title(each), each] as const))('%s', async (_, each) => {
    const dtype = each.dtype ?? 'float32'
    const given = inputs(each)
    const ours = run(
      (x, w, b) => (torch.call(operator, [x, w, b, each.groups, eps]) as Tensor[])[0] as Tensor,
      given,
      dtype,
    )
    const theirs = run(
      (x, w, b) => {
        const y = torch.groupNorm(x, each.groups, w, b, eps)
        return silu ? torch.silu(y) : y
      },
      given,
      'float64',
    )
    const near = 4 * tolerances[dtype]
    await expectNear([ours.y], [theirs.y], near)
    await expectNear(ours.gradients, theirs.gradients, near)
    if (each.layout !== 'strided') expect(ours.y.stride()).toEqual(given.x.stride())
  })
})

describe('group_norm_silu', () => {
  const call = (args: unknown[]) =>
    torch.call('landmark_diffusion::group_norm_silu', args) as Tensor[]

  it('gives mean and rstd of each group as libtorch does', async () => {
    const { x, weight, bias } = inputs({ shape: [2, 6, 7, 5], groups: 3, layout: 'channels_last' })
    const [, mean, rstd] = call([x, weight, bias, 3, eps]) as [Tensor, Tensor, Tensor]
    const wide = x.to('float64')
    const theirs = torch.nativeGroupNorm(wide.contiguous(), null, null, 2, 6, 35, 3, eps)
    await expectNear([mean, rstd], theirs.slice(1), 1e-6)
  })

  it('takes float32 weights with a bfloat16 input', async () => {
    const x = torch.randn([1, 4, 5, 5]).to('bfloat16')
    const weight = torch.randn([4])
    const bias = torch.randn([4])
    const [y] = call([x, weight, bias, 2, eps]) as [Tensor]
    const wide = torch.groupNorm(x.to('float64'), 2, weight.to('float64'), bias.to('float64'), eps)
    expect(y.dtype).toBe('bfloat16')
    await expectNear([y], [torch.silu(wide)], tolerances.bfloat16)
  })

  it('takes a bias without a weight, and the other way round', async () => {
    const x = torch.randn([2, 4, 5, 5], { requiresGrad: true })
    const values = torch.randn([4], { requiresGrad: true })
    for (const [weight, bias] of [
      [values, null],
      [null, values],
    ]) {
      const gradients = (y: Tensor) => torch.grad([y.square().sum()], [x, values])
      const [y] = call([x, weight, bias, 2, eps]) as [Tensor]
      // libtorch's own backward fails on a bias without a weight.
      const theirs = torch.silu(torch.groupNorm(x, 2, weight ?? torch.ones([4]), bias, eps))
      await expectNear(gradients(y), gradients(theirs), 1e-5)
    }
  })

  it('of nothing is nothing', async () => {
    for (const shape of [
      [0, 4, 3, 3],
      [2, 4, 0, 3],
    ]) {
      const x = torch.zeros(shape, { requiresGrad: true })
      const weight = torch.ones([4], { requiresGrad: true })
      const [y] = call([x, weight, null, 2, eps]) as [Tensor]
      expect(y.shape).toEqual(shape)
      const [dx, dweight] = torch.grad([y.sum()], [x, weight])
      expect(dx?.shape).toEqual(shape)
      expect(await dweight?.tolist()).toEqual([0, 0, 0, 0])
    }
  })

  it('has second derivatives', async () => {
    const x = torch.randn([1, 4, 3, 3], { dtype: 'float64', requiresGrad: true })
    const weight = torch.randn([4], { dtype: 'float64', requiresGrad: true })
    const second = (y: Tensor) => {
      const [dx] = torch.grad([y.square().sum()], [x], { createGraph: true }) as [Tensor]
      return torch.grad([dx.square().sum()], [x, weight])
    }
    const [y] = call([x, weight, null, 2, eps]) as [Tensor]
    const theirs = second(torch.silu(torch.groupNorm(x, 2, weight, null, eps)))
    await expectNear(second(y), theirs, 1e-10)
  })

  const x = () => torch.ones([2, 4, 3, 3])
  test.each<[string, () => unknown[]]>([
    ['groups that do not divide', () => [x(), null, null, 3, eps]],
    ['no groups', () => [x(), null, null, 0, eps]],
    ['a negative number of groups', () => [x(), null, null, -2, eps]],
    ['a weight of the wrong length', () => [x(), torch.ones([5]), null, 2, eps]],
    ['a weight of two dimensions', () => [x(), torch.ones([2, 2]), null, 2, eps]],
    ['a bias of integers', () => [x(), null, torch.ones([4], { dtype: 'int64' }), 2, eps]],
    ['integers', () => [torch.ones([2, 4], { dtype: 'int64' }), null, null, 2, eps]],
    ['one dimension', () => [torch.ones([4]), null, null, 2, eps]],
    ['a negative eps', () => [x(), null, null, 2, -1]],
    ['an eps that is no number', () => [x(), null, null, 2, Number.NaN]],
  ])('refuses %s', (_, args) => {
    expect(() => call(args())).toThrow(/group_norm_silu/)
  })

  const good = (): unknown[] => [
    x(),
    x(),
    torch.zeros([2, 2]),
    torch.ones([2, 2]),
    null,
    null,
    2,
    [true, true, true],
  ]
  test.each<[string, number, () => unknown]>([
    ['a gradient of another shape', 0, () => torch.ones([2, 4, 3])],
    ['a gradient of another dtype', 0, () => x().to('float64')],
    ['means of another shape', 2, () => torch.zeros([4])],
    ['a rstd of another dtype', 3, () => torch.zeros([2, 2], { dtype: 'float64' })],
    ['a weight of the wrong length', 4, () => torch.ones([3])],
    ['too many groups', 6, () => 8],
  ])('the backward operator refuses %s', (_, place, value) => {
    const args = good()
    args[place] = value()
    expect(() => torch.call('landmark_diffusion::group_norm_silu_backward', args)).toThrow(
      /group_norm_silu_backward/,
    )
  })
})

interface Joined {
  shape: [number, number, ...number[]]
  /** Channels of the second tensor. */
  other: number
  groups: number
  dtype?: Tested
  layout?: Layout
  otherLayout?: Layout
}

/** The joins of the U-Net's decoder at a quarter of the size, groups that lie in both tensors, odd sizes, other formats. */
const joins: Joined[] = [
  ...[
    [512, 512],
    [256, 512],
    [128, 256],
    [64, 128],
    [64, 32],
    [32, 32],
  ].map(([first, second]) => ({
    shape: [1, first, 12, 10] as [number, number, number, number],
    other: second as number,
    groups: 32,
  })),
  { shape: [2, 32, 96, 80], other: 32, groups: 8 },
  { shape: [2, 5, 7, 5], other: 4, groups: 3 },
  { shape: [2, 20, 9, 3], other: 13, groups: 1 },
  { shape: [3, 1, 3, 3], other: 17, groups: 6 },
  { shape: [2, 4, 1, 1], other: 3, groups: 1 },
  { shape: [2, 5, 3, 3, 3], other: 3, groups: 4, layout: 'contiguous' },
  { shape: [2, 5, 7, 5], other: 4, groups: 3, layout: 'contiguous' },
  { shape: [2, 5, 7, 5], other: 4, groups: 3, otherLayout: 'contiguous' },
  { shape: [2, 5, 7, 5], other: 4, groups: 3, layout: 'strided' },
  { shape: [4, 6], other: 2, groups: 2, layout: 'contiguous' },
  { shape: [2, 5, 7, 5], other: 4, groups: 3, dtype: 'float64' },
  { shape: [2, 5, 7, 5], other: 4, groups: 3, dtype: 'bfloat16' },
  { shape: [2, 5, 7, 5], other: 4, groups: 3, dtype: 'float16' },
]

describe('joined_group_norm_silu', () => {
  const operator = 'landmark_diffusion::joined_group_norm_silu'

  function given({ shape, other, dtype = 'float32', layout = last, otherLayout = layout }: Joined) {
    torch.manualSeed(2)
    const [images, channels, ...pixels] = shape
    const random = (channels: number, layout: Layout) =>
      laidOut(
        torch
          .randn([images, channels, ...pixels])
          .mul(0.5)
          .add(3)
          .to(dtype),
        layout,
      )
    const parameter = () => torch.randn([channels + other]).to(dtype)
    return {
      x: random(channels, layout),
      other: random(other, otherLayout),
      weight: parameter(),
      bias: parameter(),
      dy: torch.randn([images, channels + other, ...pixels]).to(dtype),
    }
  }

  /** y and the gradients of both tensors, weight and bias. */
  function gradients(
    { x, other, weight, bias, dy }: ReturnType<typeof given>,
    dtype: Tested,
    f: (x: Tensor, other: Tensor, weight: Tensor, bias: Tensor) => Tensor,
  ) {
    const wanted = [x, other, weight, bias].map((tensor) => {
      const own = tensor.dtype === dtype ? tensor.detach() : tensor.to(dtype)
      return own.requiresGrad_()
    }) as [Tensor, Tensor, Tensor, Tensor]
    const y = f(...wanted)
    return [y, ...torch.grad([y], wanted, { gradOutputs: [dy.to(dtype)] })]
  }

  const title = ({ shape, other, groups, dtype, layout, otherLayout }: Joined) =>
    `[${shape}] and ${other} channels in ${groups} groups ${[dtype, layout, otherLayout].filter(Boolean).join(', ')}`

  test.each(joins.map((each) => [title(each), each] as const))('%s', async (_, each) => {
    const { groups, dtype = 'float32' } = each
    const tensors = given(each)
    const ours = gradients(
      tensors,
      dtype,
      (x, other, w, b) =>
        (torch.call(operator, [x, other, w, b, groups, eps]) as Tensor[])[0] as Tensor,
    )
    const ofCopy = gradients(tensors, dtype, (x, other, w, b) => {
      const joined = torch.cat([x, other], 1)
      const args = [joined, w, b, groups, eps]
      return (torch.call('landmark_diffusion::group_norm_silu', args) as Tensor[])[0] as Tensor
    })
    const theirs = gradients(tensors, 'float64', (x, other, w, b) =>
      torch.silu(torch.groupNorm(torch.cat([x, other], 1), groups, w, b, eps)),
    )
    await expectNear(ours, theirs, 4 * tolerances[dtype])
    for (const [i, tensor] of ours.entries()) {
      expect(await torch.equal(tensor as Tensor, ofCopy[i] as Tensor), `result ${i}`).toBe(true)
    }
    expect(ours[0]?.stride()).toEqual(ofCopy[0]?.stride())
  })

  it('gives a gradient to one of both alone', async () => {
    const { x, other, weight } = given({ shape: [2, 5, 7, 5], other: 4, groups: 3 })
    for (const wanted of [x, other]) {
      const leaf = wanted.detach().requiresGrad_()
      const [a, b] = wanted === x ? [leaf, other] : [x, leaf]
      const of = (y: Tensor) => torch.grad([y.square().sum()], [leaf])
      const [y] = torch.call(operator, [a, b, weight, null, 3, eps]) as [Tensor]
      const theirs = torch.silu(torch.groupNorm(torch.cat([a, b], 1), 3, weight, null, eps))
      await expectNear(of(y), of(theirs), 1e-5)
    }
  })

  it('has second derivatives', async () => {
    const leaf = (channels: number) =>
      torch.randn([1, channels, 3, 3], { dtype: 'float64', requiresGrad: true })
    const [x, other] = [leaf(3), leaf(1)]
    const second = (y: Tensor) => {
      const first = torch.grad([y.square().sum()], [x, other], { createGraph: true }) as Tensor[]
      return torch.grad(
        [first.map((each) => each.square().sum()).reduce((a, b) => a.add(b))],
        [x, other],
      )
    }
    const [y] = torch.call(operator, [x, other, null, null, 2, eps]) as [Tensor]
    const theirs = torch.silu(torch.groupNorm(torch.cat([x, other], 1), 2, null, null, eps))
    await expectNear(second(y), second(theirs), 1e-10)
  })

  it('of nothing is nothing', async () => {
    for (const [first, second] of [
      [
        [0, 3, 2, 2],
        [0, 1, 2, 2],
      ],
      [
        [2, 3, 0, 2],
        [2, 1, 0, 2],
      ],
      [
        [2, 4, 2, 2],
        [2, 0, 2, 2],
      ],
    ] as const) {
      const leaf = (shape: readonly number[]) =>
        laidOut(torch.ones([...shape]), last).requiresGrad_()
      const [x, other] = [leaf(first), leaf(second)]
      const [y] = torch.call(operator, [x, other, null, null, 2, eps]) as [Tensor]
      const made = torch.grad([y.sum()], [x, other])
      expect(made.map((each) => each?.shape)).toEqual([first, second])
    }
  })

  const pair = () => [torch.ones([2, 3, 2, 2]), torch.ones([2, 1, 2, 2])]
  test.each<[string, () => unknown[]]>([
    ['pixels of another size', () => [pair()[0], torch.ones([2, 1, 2, 3]), null, null, 2, eps]],
    ['another number of images', () => [pair()[0], torch.ones([1, 1, 2, 2]), null, null, 2, eps]],
    ['another number of dimensions', () => [pair()[0], torch.ones([2, 1]), null, null, 2, eps]],
    ['another dtype', () => [pair()[0], pair()[1]?.to('float64'), null, null, 2, eps]],
    ['groups that do not divide the sum', () => [...pair(), null, null, 3, eps]],
    ['a weight for one of both', () => [...pair(), torch.ones([3]), null, 2, eps]],
  ])('refuses %s', (_, args) => {
    expect(() => torch.call(operator, args())).toThrow(/joined_group_norm_silu/)
  })

  it('refuses a gradient of one of both', () => {
    const [mean, rstd] = [torch.zeros([2, 2]), torch.ones([2, 2])]
    const args = [pair()[0], ...pair(), mean, rstd, null, null, 2, [true, true, true]]
    expect(() => torch.call(`${operator}_backward`, args)).toThrow(
      /joined_group_norm_silu_backward/,
    )
  })
})
