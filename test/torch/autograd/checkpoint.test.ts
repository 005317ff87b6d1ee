import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'
import { callbacksLeft, expectClose, leaf, reference } from './reference.js'

const float64 = { dtype: 'float64' } as const

describe('checkpoint', () => {
  test('gives the values and gradients of PyTorch, with dropout inside', async () => {
    torch.manualSeed(3)
    const w = torch.randn([4, 4], float64).requiresGrad_()
    const b = torch.randn([4], float64).requiresGrad_()
    const x = torch.randn([2, 4], float64).requiresGrad_()
    const part = (v: torch.Tensor) => torch.dropout(v.matmul(w).add(b).tanh(), 0.5, true).matmul(w)
    const y = torch.checkpoint(part, torch.checkpoint(part, x))
    const loss = y.mul(torch.rand([2, 4], float64)).sum()
    loss.backward()
    const { checkpointed } = reference
    await expectClose(loss, checkpointed.loss)
    await expectClose(w.grad, checkpointed.w)
    await expectClose(b.grad, checkpointed.b)
    await expectClose(x.grad, checkpointed.x)
  })

  test('leaves the random numbers after the backward pass as they were', async () => {
    const drawn = async (run: (v: torch.Tensor) => torch.Tensor) => {
      torch.manualSeed(5)
      const x = torch.ones([8]).requiresGrad_()
      run(x).sum().backward()
      return await torch.rand([3]).tolist()
    }
    const part = (v: torch.Tensor) => torch.dropout(v, 0.5, true)
    expect(await drawn((v) => torch.checkpoint(part, v))).toEqual(await drawn(part))
  })

  test('nested, inside autograd.grad(), and for second derivatives', async () => {
    const x = leaf([0.3, -0.7])
    const w = leaf([1.5, -0.4])
    const part = (v: torch.Tensor) => v.mul(w).sin().mul(v)
    const run = (v: torch.Tensor) =>
      torch.checkpoint((u) => torch.checkpoint(part, part(u)).exp(), v)
    const plain = (v: torch.Tensor) => part(part(v)).exp()
    const [gw, gx] = torch.grad(run(x).sum(), [w, x]) as [torch.Tensor, torch.Tensor]
    const [pw, px] = torch.grad(plain(x).sum(), [w, x]) as [torch.Tensor, torch.Tensor]
    expect(await gw.tolist()).toEqual(await pw.tolist())
    expect(await gx.tolist()).toEqual(await px.tolist())
    expect(w.grad).toBeNull()
    await expect(torch.autograd.gradgradcheck(run, [x])).resolves.toBe(true)
    const second = (fn: typeof run) => {
      const [g] = torch.grad(fn(x).sum(), w, { createGraph: true }) as [torch.Tensor]
      return torch.grad(g.sum(), [w, x]) as [torch.Tensor, torch.Tensor]
    }
    const [cw, cx] = second(run)
    const [sw, sx] = second(plain)
    await expectClose(cw, (await sw.tolist()) as number[])
    await expectClose(cx, (await sx.tolist()) as number[])
  })

  test('hooks of a weight that it uses run once', async () => {
    const w = leaf([2])
    let calls = 0
    w.registerHook((g) => {
      calls++
      return g.mul(10)
    })
    torch
      .checkpoint((v) => v.mul(w), leaf([3]))
      .sum()
      .backward()
    expect(await w.grad?.item()).toBe(30)
    expect(calls).toBe(1)
  })

  test('keeps its arguments alive, and frees what it held when the graph is gone', async () => {
    await torch.synchronize()
    const before = torch.memory().tensors
    const callbacks = await callbacksLeft()
    await torch.scopeAsync(async () => {
      const x = leaf([1, 2])
      const h = x.mul(2)
      const loss = torch.checkpoint((v) => v.square(), h).sum()
      h.dispose()
      loss.backward()
      expect(await x.grad?.tolist()).toEqual([8, 16])
    })
    expect(await callbacksLeft()).toBe(callbacks)
    expect(torch.memory().tensors).toBe(before)
  })

  test('needs less memory at its peak', async () => {
    const w = torch.randn([64, 64]).requiresGrad_()
    const layers = (v: torch.Tensor) => {
      let h = v
      for (let i = 0; i < 8; i++) h = h.matmul(w).tanh()
      return h
    }
    const peak = async (segment: (v: torch.Tensor) => torch.Tensor) => {
      torch.clearGradients([w])
      await torch.synchronize()
      torch.resetPeakMemory()
      const base = torch.memory().bytes
      await torch.scopeAsync(async () => {
        let h = torch.ones([2048, 64])
        for (let i = 0; i < 6; i++) h = torch.scope(() => segment(h))
        h.mean().backward()
        await torch.synchronize()
      })
      return torch.memory().peakBytes - base
    }
    const plain = await peak(layers)
    const saved = await peak((v) => torch.checkpoint(layers, v))
    // 48 layers' activations against 6 boundaries and 8 layers'; the rest are gradients.
    expect(saved).toBeLessThan(plain / 2)
  })

  test('refuses a function that computes something else the second time', async () => {
    let runs = 0
    const x = leaf([1, 2])
    const loss = torch.checkpoint((v) => (runs++ === 0 ? v.mul(2) : v.mul(2).sum()), x).sum()
    loss.backward()
    await expect(loss.item()).rejects.toThrow(/was Double\[2\].*is Double\[\]/)
    expect(() => torch.checkpoint((async (v: torch.Tensor) => v) as never, x)).toThrow(/promise/)
  })

  test('recomputes under the autocast and the gradient mode of its call', async () => {
    const w = torch.randn([4, 4]).requiresGrad_()
    const seen: string[] = []
    const loss = torch.autocast('cpu', 'bfloat16', () =>
      torch.checkpoint(
        (v) => {
          const y = v.matmul(w)
          seen.push(y.dtype)
          return y
        },
        torch.ones([2, 4]),
      ),
    )
    loss.sum().backward()
    await w.grad?.data()
    expect(seen).toEqual(['bfloat16', 'bfloat16'])
  })
})
