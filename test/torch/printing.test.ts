/** Tensors as text, against what PyTorch printed. */
import { describe, expect, it } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { fixture, only } from '../model/parity.js'

interface PrintCase {
  name: string
  options: torch.PrintOptions
  text: string
}

describe('repr', async () => {
  const { description, tensors } = await fixture<{ cases: PrintCase[] }>('printing')

  it.each(description.cases)(
    'prints $name $options as PyTorch does',
    async ({ name, options, text }) => {
      expect(await only(tensors, name).repr(options)).toBe(text)
    },
  )

  it('names what made a tensor, as torch 2.13 prints it', async () => {
    await torch.scopeAsync(async () => {
      const w = torch.ones([2, 3], { requiresGrad: true })
      const y = w
        .mul(2)
        .matmul(torch.ones([3, 2]))
        .relu()
      expect(await y.sum().repr()).toBe('tensor(24., grad_fn=<SumBackward0>)')
      expect(await y.repr()).toBe('tensor([[6., 6.],\n        [6., 6.]], grad_fn=<ReluBackward0>)')
    })
  })

  it('leaves no tensor behind and says that a gradient is wanted', async () => {
    using x = torch.ones([50, 50]).requiresGrad_()
    const before = torch.memory().tensors
    expect(await x.repr()).toMatch(
      /^tensor\(\[\[1\., 1\., 1\., {2}\.\.\., [\s\S]*, requires_grad=True\)$/,
    )
    expect(torch.memory().tensors).toBe(before)
  })

  it('refuses options out of range by name', async () => {
    using x = torch.ones([1])
    await expect(x.repr({ edgeItems: 0 })).rejects.toThrow(/edgeItems/)
    await expect(x.repr({ precision: 1.5 })).rejects.toThrow(/precision/)
  })
})
