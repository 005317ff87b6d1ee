import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { callbacksLeft, expectClose, leaf, reference } from './reference.js'

class Swish extends torch.autograd.Function {
  static forward(ctx: torch.autograd.FunctionContext, x: torch.Tensor, beta: number) {
    ctx.saveForBackward(x)
    ctx.beta = beta
    return x.mul(x.mul(beta).sigmoid())
  }

  static backward(ctx: torch.autograd.FunctionContext, g: torch.Tensor) {
    const [x] = ctx.savedTensors as [torch.Tensor]
    const beta = ctx.beta as number
    const s = x.mul(beta).sigmoid()
    return [g.mul(s.add(x.mul(s).mul(s.neg().add(1)).mul(beta))), null]
  }
}

/** Straight-through estimator. */
class Round extends torch.autograd.Function {
  static forward(_: torch.autograd.FunctionContext, x: torch.Tensor) {
    return x.round()
  }

  static backward(_: torch.autograd.FunctionContext, g: torch.Tensor) {
    return g
  }
}

describe('a custom function', () => {
  test('has the derivatives that finite differences have, first and second', async () => {
    const x = leaf([0.5, -1.2, 2])
    const fn = (v: torch.Tensor) => Swish.apply(v, 1.5)
    await expect(torch.autograd.gradcheck(fn, [x])).resolves.toBe(true)
    await expect(torch.autograd.gradgradcheck(fn, [x])).resolves.toBe(true)
  })

  test('trains as it does in PyTorch', async () => {
    const w1 = leaf([
      [0.5, -0.3],
      [0.2, 0.8],
      [-0.6, 0.1],
    ])
    const w2 = leaf([[0.4], [-0.9], [0.7]])
    const float64 = { dtype: 'float64' } as const
    const x = torch.tensor(
      [
        [1, 2],
        [-1.5, 0.5],
        [0.3, -0.8],
      ],
      float64,
    )
    const y = torch.tensor([[1], [0], [-1]], float64)
    const before = await callbacksLeft()
    for (const wanted of reference.trained.losses) {
      await torch.scopeAsync(async () => {
        const hidden = Swish.apply(x.matmul(w1.t()), 1.5)
        const out = Round.apply(hidden.mul(8)).div(8).matmul(w2)
        const loss = out.sub(y).square().mean()
        loss.backward()
        await expectClose(loss, wanted)
        torch.noGrad(() => {
          for (const w of [w1, w2]) w.sub_(w.grad as torch.Tensor, { alpha: 0.1 })
        })
        torch.clearGradients([w1, w2])
      })
    }
    await expectClose(w1, reference.trained.w1)
    await expectClose(w2, reference.trained.w2)
    expect(await callbacksLeft()).toBe(before)
  })

  test('is told which gradients are of use', async () => {
    const seen: (readonly boolean[])[] = []
    class Product extends torch.autograd.Function {
      static forward(ctx: torch.autograd.FunctionContext, a: torch.Tensor, b: torch.Tensor) {
        seen.push(ctx.needsInputGrad)
        ctx.saveForBackward(a, b)
        return a.mul(b)
      }
      static backward(ctx: torch.autograd.FunctionContext, g: torch.Tensor) {
        seen.push(ctx.needsInputGrad)
        const [a, b] = ctx.savedTensors as [torch.Tensor, torch.Tensor]
        return [ctx.needsInputGrad[0] ? g.mul(b) : null, ctx.needsInputGrad[1] ? g.mul(a) : null]
      }
    }
    const a = leaf([2])
    const b = torch.tensor([3], { dtype: 'float64' })
    Product.apply(a, b).sum().backward()
    expect(await a.grad?.item()).toBe(3)
    expect(seen).toEqual([
      [true, false],
      [true, false],
    ])
  })

  test('with several results gets zeros for the unused, and null when it asks for that', async () => {
    const seen: (readonly number[] | null)[] = []
    class Split extends torch.autograd.Function {
      static forward(ctx: torch.autograd.FunctionContext, x: torch.Tensor, zeros: boolean) {
        ctx.setMaterializeGrads(zeros)
        const index = x.argmax()
        ctx.markNonDifferentiable(index)
        return [x.mul(2), x.mul(3), index]
      }
      static backward(
        _: torch.autograd.FunctionContext,
        two: torch.Tensor,
        three: torch.Tensor | null,
      ) {
        seen.push(three?.shape ?? null)
        return [three === null ? two.mul(2) : two.mul(2).add(three.mul(3)), null]
      }
    }
    const x = leaf([1, 2])
    for (const zeros of [true, false]) {
      const [two, , index] = Split.apply(x, zeros) as [torch.Tensor, torch.Tensor, torch.Tensor]
      expect(index.requiresGrad).toBe(false)
      expect(two.isLeaf).toBe(false)
      two.sum().backward()
    }
    expect(await x.grad?.tolist()).toEqual([4, 4])
    expect(seen).toEqual([[2], null])
  })

  test('that changes its input in place returns it with the new history', async () => {
    class Double extends torch.autograd.Function {
      static forward(ctx: torch.autograd.FunctionContext, x: torch.Tensor) {
        ctx.markDirty(x)
        return x.mul_(2)
      }
      static backward(_: torch.autograd.FunctionContext, g: torch.Tensor) {
        return g.mul(2)
      }
    }
    const x = leaf([1, 2])
    const y = x.mul(1)
    expect(Double.apply(y)).toBe(y)
    y.square().sum().backward()
    // d (2x)^2 = 8x
    expect(await x.grad?.tolist()).toEqual([8, 16])
  })

  test('records nothing without gradients', async () => {
    const before = await callbacksLeft()
    const y = torch.noGrad(() => Round.apply(leaf([0.6])))
    expect(y.requiresGrad).toBe(false)
    expect(await y.item()).toBe(1)
    expect(await callbacksLeft()).toBe(before)
  })

  test.each([
    ['too few gradients', () => [], /one gradient per argument of forward\(\): 2, it returned 0/],
    ['a promise', async (g: torch.Tensor) => [g, null], /promise/],
    ['a gradient for a number', (g: torch.Tensor) => [g, g], /argument 1, which is no tensor/],
    ['something else', () => ['x', null], /returned string for argument 0/],
    ['a wrong shape', () => [torch.ones([7], { dtype: 'float64' }), null], /shape/],
  ])('whose backward returns %s fails the pass', async (_, backward, reason) => {
    class Wrong extends torch.autograd.Function {
      static forward(_: torch.autograd.FunctionContext, x: torch.Tensor, factor: number) {
        return x.mul(factor)
      }
      static backward(_: torch.autograd.FunctionContext, g: torch.Tensor) {
        return backward(g) as torch.Tensor[]
      }
    }
    const loss = Wrong.apply(leaf([1, 2]), 3).sum()
    loss.backward()
    await expect(loss.item()).rejects.toThrow(reason)
  })

  test('refuses a second pass through what the first one freed', async () => {
    const loss = Swish.apply(leaf([1]), 1).sum()
    loss.backward()
    loss.backward()
    await expect(loss.item()).rejects.toThrow(/second time/)
  })

  test('notices that a saved tensor was changed', async () => {
    const x = leaf([1]).mul(1)
    const loss = Swish.apply(x, 1).sum()
    torch.noGrad(() => x.add_(1))
    loss.backward()
    await expect(loss.item()).rejects.toThrow(/modified by an inplace operation/)
  })
})
