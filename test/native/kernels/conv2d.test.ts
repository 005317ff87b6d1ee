/** conv2d and its gradients, by every way that it takes, against libtorch's convolution in float64. */
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
  kernel: number
  stride?: number
  padding?: number
  dtype?: Tested
  layout?: Layout
  /** Of the bias: for all images, or one for each. */
  bias?: 'shared' | 'each' | 'none'
  residual?: boolean
}

const last = 'channels_last' as const

const cases: Case[] = [
  // Winograd: from 100 pixels on. Sizes that tiles of 4 do not divide, channels that vectors do not.
  { shape: [1, 20, 24, 20], outputs: 32, kernel: 3 },
  { shape: [1, 32, 24, 20], outputs: 19, kernel: 3, layout: last, residual: true },
  { shape: [2, 64, 13, 11], outputs: 64, kernel: 3, layout: last, bias: 'each', residual: true },
  { shape: [3, 5, 9, 10], outputs: 3, kernel: 3, layout: 'strided', bias: 'none' },
  { shape: [1, 256, 24, 20], outputs: 256, kernel: 3, layout: last },
  { shape: [1, 1, 17, 33], outputs: 1, kernel: 3 },
  { shape: [300, 3, 1, 1], outputs: 2, kernel: 3, layout: last },
  // The same with more filters than windows: panel by panel.
  { shape: [1, 20, 12, 10], outputs: 150, kernel: 3, layout: last, residual: true },
  { shape: [2, 128, 9, 8], outputs: 90, kernel: 3, layout: last, bias: 'each', residual: true },
  { shape: [1, 40, 26, 25], outputs: 129, kernel: 3, bias: 'none' },
  // Few pixels, many channels.
  { shape: [1, 64, 6, 5], outputs: 96, kernel: 3, layout: last, residual: true },
  { shape: [1, 40, 3, 2], outputs: 8, kernel: 3, bias: 'each' },
  { shape: [2, 40, 6, 5], outputs: 8, kernel: 3, layout: last, bias: 'each' },
  { shape: [1, 24, 1, 7], outputs: 40, kernel: 3, layout: last },
  { shape: [1, 24, 9, 1], outputs: 40, kernel: 3, layout: last },
  { shape: [1, 64, 9, 9], outputs: 32, kernel: 3, layout: last },
  // 1x1, strides, other filters.
  { shape: [2, 24, 7, 9], outputs: 40, kernel: 1, padding: 0, layout: last, residual: true },
  { shape: [2, 24, 7, 9], outputs: 40, kernel: 1, padding: 0, bias: 'each' },
  { shape: [2, 8, 20, 22], outputs: 16, kernel: 3, stride: 2, layout: last },
  { shape: [1, 8, 60, 62], outputs: 8, kernel: 3, stride: 2, layout: last, residual: true },
  { shape: [1, 4, 20, 20], outputs: 6, kernel: 5, padding: 2, layout: last },
  { shape: [1, 4, 20, 20], outputs: 6, kernel: 3, padding: 0 },
  { shape: [1, 4, 20, 20], outputs: 6, kernel: 3, dtype: 'float64', layout: last, residual: true },
  { shape: [1, 4, 20, 20], outputs: 6, kernel: 3, dtype: 'bfloat16', layout: last },
]

function inputs({
  shape,
  outputs,
  kernel,
  dtype = 'float32',
  layout = 'contiguous',
  ...rest
}: Case) {
  torch.manualSeed(2)
  const { stride = 1, padding = 1, bias = 'shared', residual = false } = rest
  const [images, channels, height, width] = shape
  const size = (length: number) => Math.floor((length + 2 * padding - kernel) / stride) + 1
  const result = [images, outputs, size(height), size(width)]
  const biasShape = bias === 'each' ? [images, outputs] : [outputs]
  return {
    x: laidOut(torch.randn(shape).to(dtype), layout),
    weight: torch
      .randn([outputs, channels, kernel, kernel])
      .div(kernel * Math.sqrt(channels))
      .to(dtype),
    bias: bias === 'none' ? null : torch.randn(biasShape).to(dtype),
    residual: residual ? laidOut(torch.randn(result).to(dtype), layout) : null,
    dy: laidOut(torch.randn(result).to(dtype), layout),
    stride,
    padding,
  }
}

type Given = ReturnType<typeof inputs>
type Leaves = Pick<Given, 'x' | 'weight' | 'bias' | 'residual'>

function run(f: (leaves: Leaves) => Tensor, given: Given, dtype: Tested) {
  const leaf = (tensor: Tensor) =>
    (dtype === 'float64' ? tensor.detach().clone().to(dtype) : tensor.detach()).requiresGrad_()
  const maybe = (tensor: Tensor | null) => (tensor === null ? null : leaf(tensor))
  const leaves = {
    x: leaf(given.x),
    weight: leaf(given.weight),
    bias: maybe(given.bias),
    residual: maybe(given.residual),
  }
  const y = f(leaves)
  const wanted = Object.values(leaves).filter((tensor) => tensor !== null)
  return { y, gradients: torch.grad([y], wanted, { gradOutputs: [given.dy.to(dtype)] }) }
}

const title = (each: Case) =>
  `[${each.shape}] -> ${each.outputs}, ${each.kernel}x${each.kernel}, ${JSON.stringify(each)}`

describe('conv2d', () => {
  const call = (args: unknown[]) => torch.call('landmark_diffusion::conv2d', args) as Tensor

  test.each(cases.map((each) => [title(each), each] as const))('%s', async (_, each) => {
    const dtype = each.dtype ?? 'float32'
    const given = inputs(each)
    const { stride, padding } = given
    const ours = run(
      ({ x, weight, bias, residual }) => call([x, weight, bias, residual, stride, padding]),
      given,
      dtype,
    )
    const theirs = run(
      ({ x, weight, bias, residual }) => {
        let y = torch.conv2d(x, weight, null, [stride, stride], [padding, padding])
        if (bias)
          y = y.add(bias.reshape([bias.ndim === 2 ? (bias.shape[0] as number) : 1, -1, 1, 1]))
        return residual ? y.add(residual) : y
      },
      given,
      'float64',
    )
    const near = 3 * tolerances[dtype]
    await expectNear([ours.y], [theirs.y], near)
    await expectNear(ours.gradients, theirs.gradients, near)
    // As the kernel made it, and not as the caller expects it; libtorch 2.11 has no `is_contiguous.memory_format`.
    const strides = [0, 1, 2, 3].map((dim) => torch.call('aten::stride.int', [ours.y, dim]))
    expect(isContiguous(ours.y.shape, strides as number[], 'channels_last')).toBe(true)
  })

  it('of no image is no image', () => {
    const x = torch.zeros([0, 4, 16, 16], { requiresGrad: true })
    const y = call([x, torch.ones([2, 4, 3, 3]), torch.ones([2]), null, 1, 1])
    expect(y.shape).toEqual([0, 2, 16, 16])
    expect(torch.grad([y.sum()], [x])[0]?.shape).toEqual([0, 4, 16, 16])
  })

  it('of padding alone is the bias and the residual', async () => {
    const x = torch.zeros([1, 4, 0, 4], { requiresGrad: true })
    const bias = torch.tensor([2, 3], { requiresGrad: true })
    const residual = torch.ones([1, 2, 2, 6])
    const y = call([x, torch.ones([2, 4, 3, 3]), bias, residual, 1, 2])
    expect(await y.tolist()).toEqual([[2, 3].map((b) => [0, 1].map(() => Array(6).fill(b + 1)))])
    expect(await torch.grad([y.sum()], [bias])[0]?.tolist()).toEqual([12, 12])
  })

  it('has second derivatives', async () => {
    const x = torch.randn([1, 4, 16, 16], { requiresGrad: true })
    const weight = torch.randn([3, 4, 3, 3], { requiresGrad: true })
    const second = (y: Tensor) => {
      const [dx] = torch.grad([y.square().sum()], [x], { createGraph: true }) as [Tensor]
      return torch.grad([dx.square().sum()], [x, weight])
    }
    const theirs = second(torch.conv2d(x, weight, null, [1, 1], [1, 1]))
    await expectNear(second(call([x, weight, null, null, 1, 1])), theirs, 1e-5)
  })

  it('computes in the lower precision of autocast', async () => {
    const x = torch.randn([1, 4, 16, 16])
    const weight = torch.randn([3, 4, 3, 3])
    const y = torch.autocast('cpu', 'bfloat16', () => call([x, weight, null, null, 1, 1]))
    expect(y.dtype).toBe('bfloat16')
    await expectNear([y], [torch.conv2d(x, weight, null, [1, 1], [1, 1])], 2e-2)
  })

  const x = () => torch.ones([1, 4, 16, 16])
  const w = () => torch.ones([2, 4, 3, 3])
  test.each<[string, () => unknown[]]>([
    ['a weight for other channels', () => [x(), torch.ones([2, 3, 3, 3]), null, null, 1, 1]],
    ['a weight of another dtype', () => [x(), w().to('float64'), null, null, 1, 1]],
    ['a weight of two dimensions', () => [x(), torch.ones([2, 4]), null, null, 1, 1]],
    ['an empty filter', () => [x(), torch.ones([2, 4, 0, 3]), null, null, 1, 1]],
    ['no output channels', () => [x(), torch.ones([0, 4, 3, 3]), null, null, 1, 1]],
    ['an input of three dimensions', () => [torch.ones([4, 16, 16]), w(), null, null, 1, 1]],
    ['integers', () => [x().to('int64'), w().to('int64'), null, null, 1, 1]],
    ['a bias of the wrong length', () => [x(), w(), torch.ones([3]), null, 1, 1]],
    ['a bias for other images', () => [x(), w(), torch.ones([2, 2]), null, 1, 1]],
    ['a residual of another shape', () => [x(), w(), null, torch.ones([1, 2, 16, 15]), 1, 1]],
    ['stride 0', () => [x(), w(), null, null, 0, 1]],
    ['a negative stride', () => [x(), w(), null, null, -1, 1]],
    ['a negative padding', () => [x(), w(), null, null, 1, -1]],
    ['a filter larger than the picture', () => [torch.ones([1, 4, 2, 2]), w(), null, null, 1, 0]],
  ])('refuses %s', (_, args) => {
    expect(() => call(args())).toThrow(/conv2d/)
  })

  it('the backward operator refuses a gradient of another shape', () => {
    const args = [torch.ones([1, 2, 16, 15]), x(), w(), 1, 1, false, [true, true, true]]
    expect(() => torch.call('landmark_diffusion::conv2d_backward', args)).toThrow(/conv2d_backward/)
  })
})
