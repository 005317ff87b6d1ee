/** upsample_conv2d and its gradients, by both ways that it takes, against libtorch's operators in float64. */
import { describe, expect, it, test } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { isContiguous } from '#lib/torch/layout.js'
import {
  expectNear,
  type Layout,
  laidOut,
  type Tensor,
  type Tested,
  tolerances,
} from './compare.js'

interface Case {
  /** [N, C, H, W] */
  shape: [number, number, number, number]
  outputs: number
  dtype?: Tested
  layout?: Layout
  bias?: boolean
}

const last = 'channels_last' as const

const cases: Case[] = [
  // By phases: from 240 small pixels on. Sizes that tiles of 4 do not divide, channels that vectors do not.
  { shape: [1, 32, 16, 20], outputs: 32, layout: last },
  { shape: [1, 5, 17, 15], outputs: 3 },
  { shape: [2, 64, 13, 11], outputs: 40, layout: last },
  { shape: [3, 20, 9, 10], outputs: 19, layout: 'strided', bias: false },
  { shape: [1, 256, 16, 16], outputs: 80, layout: last },
  { shape: [1, 1, 1, 300], outputs: 1, layout: last },
  { shape: [250, 2, 1, 1], outputs: 2, layout: last },
  // The doubled picture is made.
  { shape: [1, 32, 6, 5], outputs: 32, layout: last },
  { shape: [2, 3, 4, 4], outputs: 5, bias: false },
  { shape: [1, 4, 16, 18], outputs: 6, dtype: 'float64', layout: last },
  { shape: [1, 4, 16, 18], outputs: 6, dtype: 'bfloat16', layout: last },
]

interface Leaves {
  x: Tensor
  weight: Tensor
  bias: Tensor | null
}

const call = (...args: unknown[]) =>
  torch.call('landmark_diffusion::upsample_conv2d', args) as Tensor
const ours = ({ x, weight, bias }: Leaves) => call(x, weight, bias)
const theirs = ({ x, weight, bias }: Leaves) => {
  const wide = torch.upsampleNearest2d(x, null, { scaleFactors: [2, 2] })
  return torch.conv2d(wide, weight, bias, [1, 1], [1, 1])
}

function run(f: (leaves: Leaves) => Tensor, { shape, outputs, ...rest }: Case, compute: Tested) {
  const { dtype = 'float32', layout = 'contiguous', bias = true } = rest
  const [images, channels, height, width] = shape
  torch.manualSeed(2)
  const made = (shape: number[], scale = 1) => torch.randn(shape).mul(scale).to(dtype).to(compute)
  const x = laidOut(made(shape), layout).detach().requiresGrad_()
  const weight = made([outputs, channels, 3, 3], 1 / (3 * Math.sqrt(channels))).requiresGrad_()
  const shared = bias ? made([outputs]).requiresGrad_() : null
  const dy = laidOut(made([images, outputs, 2 * height, 2 * width]), layout)
  const y = f({ x, weight, bias: shared })
  const wanted = shared ? [x, weight, shared] : [x, weight]
  return { y, gradients: torch.grad([y], wanted, { gradOutputs: [dy] }) }
}

describe('upsample_conv2d', () => {
  test.each(cases.map((each) => [`[${each.shape}] ${JSON.stringify(each)}`, each] as const))(
    '%s',
    async (_, each) => {
      const dtype = each.dtype ?? 'float32'
      const [got, expected] = [run(ours, each, dtype), run(theirs, each, 'float64')]
      const near = 3 * tolerances[dtype]
      await expectNear([got.y], [expected.y], near)
      await expectNear(got.gradients, expected.gradients, near)
      const strides = [0, 1, 2, 3].map((dim) => torch.call('aten::stride.int', [got.y, dim]))
      expect(isContiguous(got.y.shape, strides as number[], 'channels_last')).toBe(true)
    },
  )

  it.each([
    [16, 20],
    [4, 3],
  ])('gives the gradients that are asked for alone, at %d x %d', async (height, width) => {
    const x = torch.randn([1, 4, height, width], { requiresGrad: true })
    const weight = torch.randn([3, 4, 3, 3], { requiresGrad: true })
    const bias = torch.randn([3], { requiresGrad: true })
    const leaves = { x, weight, bias }
    for (const wanted of [[x], [weight], [bias], [x, bias]]) {
      const gradients = (f: (leaves: Leaves) => Tensor) => {
        const only = (t: Tensor) => (wanted.includes(t) ? t : t.detach())
        const y = f({ x: only(leaves.x), weight: only(leaves.weight), bias: only(leaves.bias) })
        return torch.grad([y.square().sum()], wanted)
      }
      await expectNear(gradients(ours), gradients(theirs), 1e-5)
    }
  })

  it('of no image is no image', () => {
    const x = torch.zeros([0, 4, 16, 16], { requiresGrad: true })
    const y = call(x, torch.ones([2, 4, 3, 3]), torch.ones([2]))
    expect(y.shape).toEqual([0, 2, 32, 32])
    expect(torch.grad([y.sum()], [x])[0]?.shape).toEqual([0, 4, 16, 16])
  })

  it('has second derivatives', async () => {
    const x = torch.randn([1, 4, 16, 16], { requiresGrad: true })
    const weight = torch.randn([3, 4, 3, 3], { requiresGrad: true })
    const second = (f: (leaves: Leaves) => Tensor) => {
      const y = f({ x, weight, bias: null }).square().sum()
      const [dx] = torch.grad([y], [x], { createGraph: true }) as [Tensor]
      return torch.grad([dx.square().sum()], [x, weight])
    }
    await expectNear(second(ours), second(theirs), 1e-5)
  })

  it('computes in the lower precision of autocast', async () => {
    const [x, weight] = [torch.randn([1, 4, 16, 16]), torch.randn([3, 4, 3, 3])]
    const y = torch.autocast('cpu', 'bfloat16', () => call(x, weight, null))
    expect(y.dtype).toBe('bfloat16')
    await expectNear([y], [theirs({ x, weight, bias: null })], 2e-2)
  })

  const x = () => torch.ones([1, 4, 16, 16])
  const w = () => torch.ones([2, 4, 3, 3])
  test.each<[string, () => unknown[]]>([
    ['a weight for other channels', () => [x(), torch.ones([2, 3, 3, 3]), null]],
    ['a weight of another dtype', () => [x(), w().to('float64'), null]],
    ['a filter of another size', () => [x(), torch.ones([2, 4, 1, 1]), null]],
    ['an input of three dimensions', () => [torch.ones([4, 16, 16]), w(), null]],
    ['an image without pixels', () => [torch.ones([1, 4, 0, 16]), w(), null]],
    ['integers', () => [x().to('int64'), w().to('int64'), null]],
    ['a bias of the wrong length', () => [x(), w(), torch.ones([3])]],
    ['a bias for each image', () => [x(), w(), torch.ones([1, 2])]],
  ])('refuses %s', (_, args) => {
    expect(() => call(...args())).toThrow(/upsample_conv2d/)
  })

  it('the backward operator refuses a gradient of another shape', () => {
    const args = [torch.ones([1, 2, 32, 31]), x(), w(), [true, true, true]]
    expect(() => torch.call('landmark_diffusion::upsample_conv2d_backward', args)).toThrow(
      /upsample_conv2d_backward/,
    )
  })
})
