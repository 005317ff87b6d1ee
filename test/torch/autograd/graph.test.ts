/** gradFn: the nodes of the graph, by the names and edges that PyTorch gives them. */
import { describe, expect, it } from 'vitest'
import * as torch from '#lib/torch/index.js'

type Node = torch.autograd.GradNode | null

/** `MulBackward0(torch::autograd::AccumulateGrad, -)`, as deep as the graph goes. */
function written(node: Node): string {
  if (node === null) return '-'
  const { name, nextFunctions } = node
  return nextFunctions.length === 0 ? name : `${name}(${nextFunctions.map(written).join(', ')})`
}

describe('gradFn', () => {
  it('is null for leaves, and for what needs no gradient', () => {
    torch.scope(() => {
      const leaf = torch.ones([2], { requiresGrad: true })
      expect(leaf.gradFn).toBeNull()
      expect(torch.ones([2]).add(1).gradFn).toBeNull()
      expect(leaf.mul(2).detach().gradFn).toBeNull()
      expect(torch.noGrad(() => leaf.mul(2).gradFn)).toBeNull()
    })
  })

  it('has the names and edges that torch 2.13 prints for grad_fn and next_functions', async () => {
    await torch.scopeAsync(async () => {
      const w = torch.ones([2, 3], { requiresGrad: true })
      const x = torch.ones([3, 2])
      const y = w.mul(torch.tensor(2)).matmul(x).relu()
      expect(written((await y.gradFn) as Node)).toBe(
        'ReluBackward0(MmBackward0(MulBackward0(torch::autograd::AccumulateGrad, -), -))',
      )
      expect((await y.sum().gradFn)?.name).toBe('SumBackward0')
      expect((await w.at(0).gradFn)?.name).toBe('SelectBackward0')
      expect((await torch.cat([w, w]).gradFn)?.nextFunctions.length).toBe(2)
    })
  })

  it('shows what two results share once', async () => {
    await torch.scopeAsync(async () => {
      const a = torch.ones([1], { requiresGrad: true }).exp()
      const node = await a.add(a.sin()).gradFn
      const [left, sine] = node?.nextFunctions ?? []
      expect(left?.name).toBe('ExpBackward0')
      expect(sine?.nextFunctions[0]).toBe(left)
    })
  })

  it('rejects where the op behind it failed', async () => {
    await torch.scopeAsync(async () => {
      const w = torch.ones([2], { requiresGrad: true })
      const index = (value: number) => torch.tensor([BigInt(value)])
      await w.indexSelect(0, index(1)).data()
      const failed = w.indexSelect(0, index(7))
      await expect(failed.gradFn).rejects.toThrow(/index/)
    })
  })
})
