/** nn.functional: PyTorch's order of arguments and defaults, and functions that are no layers, against values by hand. */
import { describe, expect, it } from 'vitest'
import * as nn from '#lib/nn/index.js'
import * as torch from '#lib/torch/index.js'

const F = nn.functional

async function same(actual: torch.Tensor, expected: torch.Tensor): Promise<void> {
  expect(actual.shape).toEqual(expected.shape)
  expect(await torch.allclose(actual, expected, { atol: 1e-6 })).toBe(true)
}

describe('the order of arguments is that of torch.nn.functional', () => {
  it('of embedding: indices, then the table', async () => {
    const table = torch.tensor([
      [1, 2],
      [3, 4],
    ])
    const rows = torch.tensor([1n, 0n, 1n])
    expect(await F.embedding(rows, table).tolist()).toEqual([
      [3, 4],
      [1, 2],
      [3, 4],
    ])
  })

  it('of batchNorm: running statistics, then weight and bias', async () => {
    const x = torch.tensor([
      [1, 10],
      [3, 30],
    ])
    const [mean, variance] = [torch.tensor([1, 10]), torch.tensor([4, 100])]
    const [weight, bias] = [torch.tensor([2, 3]), torch.tensor([0, 1])]
    const expected = torch.tensor([
      [0, 1],
      [2, 7],
    ])
    await same(F.batchNorm(x, mean, variance, weight, bias, false, 0.1, 0), expected)
    await same(F.batchNorm(x, mean, variance, { weight, bias, eps: 0 }), expected)
    await F.batchNorm(x, mean, variance, { training: true, momentum: 0.5 }).data()
    expect(await mean.tolist()).toEqual([1.5, 15])
  })

  it('of instanceNorm: statistics of each sample unless told otherwise', async () => {
    const x = torch.tensor([[[1, 3]], [[10, 30]]])
    const row = [-1, 1]
    await same(F.instanceNorm(x, { eps: 0 }), torch.tensor([[row], [row]]))
  })

  it('of normalize, pad and interpolate: some in order or all by name', async () => {
    const x = torch.tensor([[3, 4]])
    await same(F.normalize(x), torch.tensor([[0.6, 0.8]]))
    await same(F.normalize(x, 1, 1), torch.tensor([[3 / 7, 4 / 7]]))
    const image = torch.tensor([[[1, 2, 3]]])
    expect(await F.pad(image, [1, 1], 'reflect').tolist()).toEqual([[[2, 1, 2, 3, 2]]])
    expect(await F.pad(image, [0, 1], 'constant', 7).tolist()).toEqual([[[1, 2, 3, 7]]])
    expect(await F.interpolate(image, 6).tolist()).toEqual([[[1, 1, 2, 2, 3, 3]]])
  })

  it('drops a half by default, and nothing in eval mode', async () => {
    torch.manualSeed(1)
    const ones = torch.ones([4000])
    const share = Number(await F.dropout(ones).eq(0).float().mean().item())
    expect(share).toBeGreaterThan(0.45)
    expect(share).toBeLessThan(0.55)
    await same(F.dropout(ones, 0.5, false), ones)
    await same(F.alphaDropout(ones), ones)
  })
})

describe('pooling with indices and back', () => {
  it.each([
    [nn.MaxPool1d, nn.MaxUnpool1d, [1, 1, 6]],
    [nn.MaxPool2d, nn.MaxUnpool2d, [1, 2, 4, 6]],
    [nn.MaxPool3d, nn.MaxUnpool3d, [1, 1, 4, 2, 6]],
  ] as const)('the largest elements return to their places', async (Pool, Unpool, shape) => {
    await torch.scopeAsync(async () => {
      const count = shape.reduce((a: number, b: number) => a * b, 1)
      const x = torch
        .randperm(count)
        .add(1)
        .float()
        .reshape([...shape])
      const pool = new Pool(2)
      const unpool = new Unpool(2)
      const [values, indices] = pool.withIndices(x)
      await same(values, pool.forward(x))
      const back = unpool.forward(values, indices)
      const largest = x.eq(back)
      expect(back.shape).toEqual(x.shape)
      expect(Number(await largest.sum().item())).toBe(values.numel)
      await same(pool.forward(back), values)
    })
  })

  it('makes the size that was pooled, and refuses one that cannot have been', async () => {
    const x = torch.arange(0, 5, { dtype: 'float32' }).reshape([1, 1, 5])
    const [values, indices] = F.maxPool1dWithIndices(x, 2)
    const back = F.maxUnpool1d(values, indices, 2, { outputSize: [1, 1, 5] })
    expect(await back.tolist()).toEqual([[[0, 1, 0, 3, 0]]])
    expect(() => F.maxUnpool1d(values, indices, 2, { outputSize: [9] })).toThrow(/cannot make size/)
    expect(() => F.maxUnpool(-1, values, indices, 2)).toThrow(/rank of 1, 2 or 3, got -1/)
  })
})

describe('functions that are no layers', () => {
  it('gridSample of the identity grid is the image', async () => {
    const x = torch.randn([2, 3, 4, 5])
    const theta = torch
      .tensor([
        [
          [1, 0, 0],
          [0, 1, 0],
        ],
      ])
      .repeat([2, 1, 1])
    const grid = F.affineGrid(theta, [2, 3, 4, 5], { alignCorners: true })
    await same(F.gridSample(x, grid, { alignCorners: true }), x)
    await same(F.gridSample(x, grid, 'nearest', 'border', true), x)
    expect(() => F.gridSample(x, grid, { mode: 'linear' as 'nearest' })).toThrow(/mode is one of/)
  })

  it('fold undoes unfold where windows do not overlap', async () => {
    const x = torch.randn([1, 2, 4, 6])
    const columns = F.unfold(x, 2, { stride: 2 })
    expect(columns.shape).toEqual([1, 8, 6])
    await same(F.fold(columns, [4, 6], 2, { stride: 2 }), x)
  })

  it('gumbelSoftmax is a distribution, one-hot where hard, with a gradient', async () => {
    const logits = torch.randn([50, 4]).requiresGrad_()
    await same(F.gumbelSoftmax(logits).sum(1), torch.ones([50]))
    const hard = F.gumbelSoftmax(logits, 0.5, true)
    await same(hard.max(1)[0], torch.ones([50]))
    await same(hard.sum(1), torch.ones([50]))
    hard.select(1, 0).sum().backward()
    expect(Number(await logits.grad?.abs().sum().item())).toBeGreaterThan(0)
  })

  it('embeddingBag reduces bags of any length', async () => {
    const table = torch.tensor([[1], [2], [4]])
    const bags = F.embeddingBag(torch.tensor([0n, 1n, 2n]), table, torch.tensor([0n, 1n]), {
      mode: 'sum',
    })
    expect(await bags.tolist()).toEqual([[1], [6]])
  })

  it('tripletMarginWithDistanceLoss uses the distance that it is given', async () => {
    const [a, p, n] = [0, 1, 3].map((value) => torch.tensor([[value]])) as [
      torch.Tensor,
      torch.Tensor,
      torch.Tensor,
    ]
    const distanceFunction = (x: torch.Tensor, y: torch.Tensor) => x.sub(y).square().sum(1)
    const loss = F.tripletMarginWithDistanceLoss(a, p, n, { distanceFunction, margin: 10 })
    expect(await loss.item()).toBe(1 - 9 + 10)
  })
})

describe('optional arguments', () => {
  it('may stand in order as in PyTorch, or by name', () => {
    using inOrder = new nn.Conv2d(4, 4, 3, 2, 1, 1, 2, false)
    using byName = new nn.Conv2d(4, 4, 3, { stride: 2, padding: 1, groups: 2, bias: false })
    expect(inOrder.toString()).toBe(byName.toString())
    expect(inOrder.toString()).toBe(
      'Conv2d(4, 4, kernel=3x3, stride=2x2, padding=1x1, groups=2, bias=false)',
    )
  })

  it('are refused where nobody knows them, with the nearest name', () => {
    const misspelt = { paddin: 1 } as object
    expect(() => new nn.Conv2d(1, 1, 3, misspelt)).toThrow(
      "Conv2d has no option 'paddin'. Did you mean 'padding'? It takes stride, padding, dilation, groups, bias, paddingMode.",
    )
    const twice = { stride: 1 } as object
    expect(() => new nn.MaxPool2d(2, 2, twice as never)).toThrow(/given 'stride' twice/)
    expect(() =>
      (F.normalize as (...given: unknown[]) => unknown)(torch.ones([1, 1]), 1, 2, 3, 4),
    ).toThrow(/takes 3 optional arguments, not 4/)
  })
})
