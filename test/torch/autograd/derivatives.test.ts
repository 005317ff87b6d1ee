import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { example, expectClose, leaf, reference } from './reference.js'

const point = [0.3, -0.7, 1.1]

describe('derivatives', () => {
  test('first, second and third are those of PyTorch', async () => {
    const x = leaf(point)
    let y = example(x)
    for (const wanted of reference.derivatives) {
      const [g] = torch.grad(y, x, { createGraph: true }) as [torch.Tensor]
      await expectClose(g, wanted)
      y = g.sum()
    }
  })

  test('recorded passes add up in grad, which can be differentiated again', async () => {
    const x = leaf(point)
    example(x).backward({ createGraph: true })
    x.cos().sum().backward({ createGraph: true })
    const gradient = x.grad as torch.Tensor
    expect(gradient.requiresGrad).toBe(true)
    await expectClose(gradient, reference.accumulated.grad)
    const [second] = torch.grad(gradient.sum(), x) as [torch.Tensor]
    await expectClose(second, reference.accumulated.second)
    torch.clearGradients([x])
    x.sum().backward()
    expect(x.grad?.requiresGrad).toBe(false)
  })

  test('a recorded gradient that is constant has a zero derivative', async () => {
    const x = leaf([1, 2])
    const [g] = torch.grad(x.mul(3).sum(), x, { createGraph: true }) as [torch.Tensor]
    const [second] = torch.grad(g.sum(), x, { materializeGrads: true }) as [torch.Tensor]
    expect(await second.tolist()).toEqual([0, 0])
  })

  test('jacobian, hessian, vjp and jvp are those of PyTorch', async () => {
    const { functional } = torch.autograd
    const x = torch.tensor(point, { dtype: 'float64' })
    const v = torch.tensor([1, 2, -1], { dtype: 'float64' })
    const vector = (a: torch.Tensor) =>
      torch.stack([a.prod(), a.sin().sum(), a.mul(a).sum().mul(a.select(0, 0))])
    const wanted = reference.functional
    await expectClose(functional.jacobian(vector, x), wanted.jacobian)
    await expectClose(functional.hessian(example, x), wanted.hessian)
    await expectClose(functional.vjp(vector, x, v)[1], wanted.vjp)
    await expectClose(functional.jvp(vector, x, v)[1], wanted.jvp)
  })

  test('gradcheck names the element whose gradient is wrong', async () => {
    class Wrong extends torch.autograd.Function {
      static forward(_: torch.autograd.FunctionContext, x: torch.Tensor) {
        return x.square()
      }
      static backward(_: torch.autograd.FunctionContext, g: torch.Tensor) {
        return g
      }
    }
    const check = torch.autograd.gradcheck((x) => Wrong.apply(x), [leaf([2, 0.5])])
    await expect(check).rejects.toThrow(
      /output\[0\] \/ d input 0\[0\] is 1, by finite differences 4/,
    )
    const coarse = torch.autograd.gradcheck((x) => x, [torch.ones([1], { requiresGrad: true })])
    await expect(coarse).rejects.toThrow(/must be float64/)
  })
})

describe('grad', () => {
  const leaves: Record<string, () => torch.Tensor> = {
    contiguous: () => torch.zeros([2, 3, 4, 5]),
    transposed: () => torch.zeros([2, 3, 4, 5]).transpose(1, 3),
    'channels last': () => torch.zeros([2, 3, 4, 5]).contiguous({ memoryFormat: 'channels_last' }),
    expanded: () => torch.zeros([1, 3, 1, 5]).expand([2, 3, 4, 5]),
    strided: () => torch.zeros([2, 3, 4, 10]).slice(3, 0, 10, 2),
  }

  test.each(Object.keys(leaves))('has the strides of PyTorch for a %s leaf', async (name) => {
    const x = (leaves[name] as () => torch.Tensor)().detach().requiresGrad_()
    const weight = torch.ones([x.shape[1] as number, 1, 1])
    const loss = x.mul(weight).sum()
    const [value] = torch.grad(loss, x, { retainGraph: true }) as [torch.Tensor]
    loss.backward()
    const gradient = x.grad as torch.Tensor
    // An operator seen for the first time tells the strides that the executor finds.
    for (const [handle, view] of [
      [gradient, 'aten::alias'],
      [value, 'aten::view_as'],
    ] as const) {
      expect(handle.stride()).toEqual(reference.strides[name])
      const args = view === 'aten::alias' ? [handle] : [handle, handle]
      expect((torch.call(view, args) as torch.Tensor).stride()).toEqual(reference.strides[name])
    }
  })

  test('of a tensor that is no leaf is kept when asked for', async () => {
    const x = leaf([1, 2])
    const kept = x.mul(2)
    const other = x.mul(3)
    kept.retainGrad()
    kept.add(other).square().sum().backward()
    expect(await kept.grad?.tolist()).toEqual([10, 20])
    expect(other.grad).toBeNull()
    expect([x.isLeaf, kept.isLeaf, x.detach().isLeaf]).toEqual([true, false, true])
  })

  test('can be set, to what fits', async () => {
    const x = leaf([1, 2])
    x.grad = torch.tensor([5, 6], { dtype: 'float64' })
    x.sum().backward()
    expect(await x.grad?.tolist()).toEqual([6, 7])
    expect(() => {
      x.grad = torch.ones([3], { dtype: 'float64' })
    }).toThrow(/shape, dtype and device must be the same/)
    expect(() => {
      x.grad = torch.ones([2])
    }).toThrow(/shape, dtype and device must be the same/)
  })

  test('goes into the named leaves only', async () => {
    const [a, b] = [leaf([2]), leaf([3])]
    a.mul(b)
      .sum()
      .backward({ inputs: [a] })
    expect(await a.grad?.item()).toBe(3)
    await expect(b.grad?.item()).rejects.toThrow(/no backward\(\) reached/)
  })
})

describe('requiresGrad', () => {
  test('is a property of leaves of floating dtypes', () => {
    const x = torch.ones([2])
    x.requiresGrad = true
    expect(x.requiresGrad).toBe(true)
    const y = x.mul(2)
    expect(() => {
      y.requiresGrad = false
    }).toThrow(/only change requires_grad flags of leaf variables/)
    const whole = torch.ones([2], { dtype: 'int64' })
    expect(() => {
      whole.requiresGrad = true
    }).toThrow(/floating point and complex/)
    y.detach_()
    expect([y.requiresGrad, y.isLeaf]).toEqual([false, true])
  })

  test('a leaf that requires a gradient is not changed in place, a tensor made from it is', async () => {
    const x = leaf([1, 2])
    const y = x.mul(1)
    y.add_(1)
    expect(() => x.add_(1)).toThrow(/leaf Variable that requires grad/)
    y.square().sum().backward()
    expect(await x.grad?.tolist()).toEqual([4, 6])
  })
})

describe('autocast', () => {
  test('nests, and a region inside can go without it', async () => {
    const x = torch.ones([4, 4])
    const dtypes = torch.autocast('cpu', 'bfloat16', () => [
      x.matmul(x).dtype,
      torch.autocast('cpu', 'float16', () => x.matmul(x).dtype),
      torch.autocast('cpu', { enabled: false }, () => x.matmul(x).dtype),
      torch.autocast('cuda', { enabled: false }, () => x.matmul(x).dtype),
      x.matmul(x).dtype,
      String(torch.isAutocastEnabled()),
    ])
    expect(dtypes).toEqual(['bfloat16', 'float16', 'float32', 'bfloat16', 'bfloat16', 'true'])
    expect(torch.isAutocastEnabled()).toBe(false)
  })

  test('and the other modes stay in their task', async () => {
    const x = torch.ones([4, 4], { requiresGrad: true })
    const task = async (mode: <T>(fn: () => T) => T, dtype: string, requiresGrad: boolean) => {
      await mode(async () => {
        for (let i = 0; i < 10; i++) {
          await new Promise((resolve) => setImmediate(resolve))
          const y = x.matmul(x)
          expect([y.dtype, y.requiresGrad]).toEqual([dtype, requiresGrad])
        }
      })
    }
    await Promise.all([
      task((fn) => fn(), 'float32', true),
      task((fn) => torch.autocast('cpu', 'bfloat16', fn), 'bfloat16', true),
      task((fn) => torch.autocast('cpu', 'float16', () => torch.noGrad(fn)), 'float16', false),
      task(torch.inferenceMode, 'float32', false),
      task((fn) => torch.noGrad(() => torch.enableGrad(fn)), 'float32', true),
    ])
  })

  test('gradients of its results are those of the float32 parameters', async () => {
    const w = torch.ones([4, 4], { requiresGrad: true })
    const loss = torch.autocast('cpu', 'bfloat16', () => torch.ones([2, 4]).matmul(w)).sum()
    loss.backward()
    expect(w.grad?.dtype).toBe('float32')
    expect(await w.grad?.sum().item()).toBe(32)
  })
})
