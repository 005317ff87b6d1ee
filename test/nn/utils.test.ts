/** nn.utils: parameters in a row, and their gradients. */
import { describe, expect, it } from 'vitest'
import * as nn from '#lib/nn/index.js'
import * as torch from '#lib/torch/index.js'

describe('nn.utils', () => {
  it('puts parameters in a row and back', async () => {
    using source = new nn.Linear(2, 3)
    using target = new nn.Linear(2, 3)
    await torch.scopeAsync(async () => {
      const vector = nn.utils.parametersToVector(source.parameters())
      expect(vector.shape).toEqual([9])
      nn.utils.vectorToParameters(vector, target.parameters())
      expect(await torch.equal(source.weight, target.weight)).toBe(true)
      expect(() => nn.utils.vectorToParameters(torch.ones([8]), target.parameters())).toThrow(
        /have 9 values, the vector 8/,
      )
    })
  })

  it('cuts gradients by value and tells their norm', async () => {
    await torch.scopeAsync(async () => {
      const [a, b] = [torch.zeros([2]).requiresGrad_(), torch.zeros([1]).requiresGrad_()]
      a.mul(torch.tensor([3, -4]))
        .sum()
        .add(b.mul(12).sum())
        .backward()
      const gradients = torch.gradients([a, b]).flatMap((gradient) => gradient ?? [])
      expect(await nn.utils.getTotalNorm(gradients).item()).toBeCloseTo(13)
      nn.utils.clipGradValue_([a, b], 3.5)
      expect(await a.grad?.tolist()).toEqual([3, -3.5])
      expect(await b.grad?.tolist()).toEqual([3.5])
    })
  })
})
