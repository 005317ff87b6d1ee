/** fused_adamw_ema_ against libtorch's own fused AdamW and the moving average after it, in float64. */
import { describe, expect, it, test } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { expectNear, type Tensor } from './compare.js'

const shapes = [[3], [17, 5], [64, 32, 3, 3], [40000], [0, 4], []]
const hyper = { lr: 1e-2, beta1: 0.9, beta2: 0.99, weight_decay: 0.1, eps: 1e-8 }
const emaWeight = 0.3

interface Lists {
  self: Tensor[]
  grads: Tensor[]
  m: Tensor[]
  v: Tensor[]
  averages: Tensor[]
  steps: Tensor[]
}

function lists(dtype: 'float32' | 'float64'): Lists {
  torch.manualSeed(4)
  const each = (f: (shape: number[]) => Tensor) => shapes.map((shape) => f(shape).to(dtype))
  return {
    self: each((shape) => torch.randn(shape)),
    grads: each((shape) => torch.randn(shape)),
    m: each((shape) => torch.randn(shape).mul(0.1)),
    v: each((shape) => torch.rand(shape)),
    averages: each((shape) => torch.randn(shape)),
    steps: shapes.map((_, i) => torch.full([], i + 1, { dtype: 'float32' })),
  }
}

const wide = (given: Lists): Lists =>
  Object.fromEntries(
    Object.entries(given).map(([name, list]: [string, Tensor[]]) => [
      name,
      name === 'steps' ? list : list.map((tensor) => tensor.to('float64')),
    ]),
  ) as unknown as Lists

function ours({ self, grads, m, v, averages, steps }: Lists, more: object = {}): void {
  torch.call('landmark_diffusion::fused_adamw_ema_', [self, grads, m, v, averages, steps], {
    ...hyper,
    ema_weight: emaWeight,
    ...more,
  })
}

function theirs({ self, grads, m, v, averages, steps }: Lists): void {
  torch.call('aten::_fused_adamw_', [self, grads, m, v, [], steps], {
    ...hyper,
    amsgrad: false,
    maximize: false,
  })
  if (averages.length > 0) torch.call('aten::_foreach_lerp_.Scalar', [averages, self, emaWeight])
}

describe('fused_adamw_ema_', () => {
  test.each([
    ['float32', 1e-6],
    ['float64', 1e-14],
  ] as const)(
    'in %s does what AdamW and the average do one after the other',
    async (dtype, near) => {
      const given = lists(dtype)
      const expected = wide(given)
      ours(given)
      theirs(expected)
      for (const name of ['self', 'm', 'v', 'averages', 'grads'] as const) {
        await expectNear(given[name], expected[name], near)
      }
    },
  )

  it('does without averages, and scales the gradients without changing them', async () => {
    const given = { ...lists('float32'), averages: [] }
    const before = given.grads.map((gradient) => gradient.clone())
    const expected = wide(given)
    expected.grads = expected.grads.map((gradient) => gradient.mul(0.25))
    ours(given, { grad_scale: torch.full([], 0.25) })
    theirs(expected)
    await expectNear(given.self, expected.self, 1e-6)
    await expectNear(given.grads, before, 1e-9)
  })

  it('takes gradients that lie otherwise in memory than their parameters', async () => {
    const given = lists('float32')
    const expected = wide(given)
    given.grads[1] = (given.grads[1] as Tensor).t().contiguous().t()
    given.grads[2] = torch.call('aten::contiguous', [given.grads[2]], {
      memory_format: 'channels_last',
    }) as Tensor
    given.grads[3] = torch.full([1], 0.5).expand([40000])
    expected.grads[3] = torch.full([40000], 0.5, { dtype: 'float64' })
    ours(given)
    theirs(expected)
    await expectNear(given.self, expected.self, 1e-6)
  })

  it('of no parameters does nothing', async () => {
    ours({ self: [], grads: [], m: [], v: [], averages: [], steps: [] })
    await torch.synchronize()
  })

  test.each<[string, (given: Lists) => void]>([
    ['lists of different lengths', (given) => given.grads.pop()],
    ['too few averages', (given) => given.averages.pop()],
    ['a gradient of another shape', (given) => given.grads.splice(0, 1, torch.ones([4]))],
    [
      'a statistic of another dtype',
      (given) => given.m.splice(0, 1, torch.ones([3]).to('float64')),
    ],
    [
      'a parameter that is not dense',
      (given) => given.self.splice(0, 1, torch.ones([1]).expand([3])),
    ],
    ['a statistic that lies otherwise', (given) => given.v.splice(1, 1, torch.ones([5, 17]).t())],
    ['a step that is no number', (given) => given.steps.splice(0, 1, torch.ones([2]))],
    ['integers', (given) => given.self.splice(0, 1, torch.ones([3], { dtype: 'int64' }))],
  ])('refuses %s', (_, spoil) => {
    const given = lists('float32')
    spoil(given)
    expect(() => ours(given)).toThrow(/fused_adamw_ema_/)
  })
})
