/** Clipping, the moving average and learning rates against hand-computed values. */
import { describe, expect, it } from 'vitest'
import { Linear } from '#lib/nn/index.js'
import { clipGradNorm_, clipGradValue_, constant, cosine, Ema } from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'

function withGradient(values: number[]): torch.Tensor {
  const weight = torch.keep(torch.zeros([values.length]).requiresGrad_())
  torch.scope(() => {
    weight
      .mul(torch.tensor(Float32Array.from(values)))
      .sum()
      .backward()
  })
  return weight
}

describe('clipGradNorm_', () => {
  it('scales all gradients together to the wanted norm, and returns the norm before', async () => {
    const [a, b] = [withGradient([3, 0]), withGradient([0, 4])]
    using norm = clipGradNorm_([a, b], 1) as torch.Tensor
    expect(await norm.item()).toBeCloseTo(5, 6)
    expect((await a.grad?.data())?.[0]).toBeCloseTo(3 / 5, 5)
    expect((await b.grad?.data())?.[1]).toBeCloseTo(4 / 5, 5)
  })

  it('leaves gradients below the limit as they are', async () => {
    const weight = withGradient([0.3, 0.4])
    using norm = clipGradNorm_([weight], 2) as torch.Tensor
    expect(await norm.item()).toBeCloseTo(0.5, 6)
    expect(await weight.grad?.data()).toEqual(Float32Array.of(0.3, 0.4))
  })

  it('leaves out parameters that no backward pass reached, also where that is all of them', async () => {
    using aside = torch.zeros([2]).requiresGrad_()
    const weight = withGradient([3, 4])
    using norm = clipGradNorm_([aside, weight], 1) as torch.Tensor
    expect(await norm.item()).toBeCloseTo(5, 6)
    expect((await weight.grad?.data())?.[1]).toBeCloseTo(4 / 5, 5)
    using none = clipGradNorm_([aside], 1) as torch.Tensor
    expect(await none.item()).toBe(0)
    clipGradValue_([aside, weight], 0.7)
    clipGradValue_([aside], 0.7)
    expect((await weight.grad?.data())?.[1]).toBeCloseTo(0.7, 6)
  })

  it('returns null where there is no gradient', () => {
    using weight = torch.zeros([2]).requiresGrad_()
    expect(clipGradNorm_([weight], 1)).toBeNull()
  })
})

describe('Ema', () => {
  const fill = (layer: Linear, value: number) => {
    torch.noGrad(() => {
      layer.weight.fill_(value)
    })
  }

  it('warms up: the decays are 2/11, 3/12, 4/13, ... until the limit', async () => {
    using layer = new Linear(1, 1, { bias: false })
    fill(layer, 0)
    const ema = new Ema(layer, { decay: 0.25 })
    let wanted = 0
    for (const [i, decay] of [2 / 11, 3 / 12, 0.25, 0.25].entries()) {
      fill(layer, i + 1)
      ema.update()
      wanted = decay * wanted + (1 - decay) * (i + 1)
      expect((await ema.stateDict().weight?.data())?.[0]).toBeCloseTo(wanted, 5)
    }
    expect(ema.updates).toBe(4)
    ema.dispose()
  })

  it('lends the averages to the module and puts the exact weights back, after an error too', async () => {
    using layer = new Linear(1, 1, { bias: false })
    fill(layer, 0.1)
    const ema = new Ema(layer)
    fill(layer, 0.7)
    const before = torch.memory().tensors
    expect(await ema.use(() => layer.weight.tolist())).toEqual([[Math.fround(0.1)]])
    expect(await layer.weight.tolist()).toEqual([[Math.fround(0.7)]])
    await expect(
      ema.use(async () => {
        throw new Error('evaluation failed')
      }),
    ).rejects.toThrow('evaluation failed')
    expect(await layer.weight.tolist()).toEqual([[Math.fround(0.7)]])
    expect(torch.memory().tensors).toBe(before)
    ema.dispose()
  })

  it('restores a saved average', async () => {
    using layer = new Linear(2, 1)
    const ema = new Ema(layer)
    using weight = torch.ones([1, 2])
    using bias = torch.ones([1])
    ema.loadStateDict({ weight, bias })
    expect(await ema.stateDict().weight?.tolist()).toEqual([[1, 1]])
    expect(() => ema.loadStateDict({ weight })).toThrow('bias is missing')
    ema.dispose()
  })
})

describe('learning rates', () => {
  it('constant rises linearly and then stays', () => {
    const rate = constant({ lr: 8, warmupSteps: 4 })
    expect([0, 1, 2, 3, 4, 1000].map(rate)).toEqual([2, 4, 6, 8, 8, 8])
    expect(constant({ lr: 3 })(0)).toBe(3)
  })

  it('cosine passes half way at half time and ends at the minimum', () => {
    const rate = cosine({ lr: 1, warmupSteps: 2, totalSteps: 12, minLr: 0.2 })
    expect(rate(0)).toBe(0.5)
    expect(rate(2)).toBe(1)
    expect(rate(7)).toBeCloseTo(0.6, 12)
    expect(rate(12)).toBeCloseTo(0.2, 12)
    expect(rate(99)).toBeCloseTo(0.2, 12)
  })
})
