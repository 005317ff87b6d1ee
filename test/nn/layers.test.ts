/** Layers against PyTorch's numbers: initial values, outputs and gradients. */
import { describe, expect, it } from 'vitest'
import type { Layer } from '#lib/nn/index.js'
import {
  Conv1d,
  Conv2d,
  Dropout,
  functional,
  GroupNorm,
  Identity,
  Linear,
  SiLU,
  Tanh,
  Upsample,
} from '#lib/nn/index.js'
import * as torch from '#lib/torch/index.js'
import { distance, fixture, only } from '../model/parity.js'

const builders: Record<string, () => Layer> = {
  conv2d: () => new Conv2d(3, 6, 3, { padding: 1 }),
  conv2d_stride: () => new Conv2d(4, 4, 3, { stride: 2, padding: 1 }),
  conv1d: () => new Conv1d(4, 12, 1),
  linear: () => new Linear(7, 5),
  linear_without_bias: () => new Linear(7, 5, { bias: false }),
  group_norm: () => new GroupNorm(2, 4, { eps: 1e-6 }),
}

describe('layers', async () => {
  const { description, tensors } = await fixture<{ order: string[] }>('layers')
  torch.manualSeed(0)
  const layers = description.order.map((name) => [name, builders[name]?.() as Layer] as const)

  it.each(layers)(
    '%s starts with the very numbers of PyTorch after the same seed',
    async (name, layer) => {
      for (const [parameter, tensor] of layer.namedParameters()) {
        expect(await tensor.data()).toEqual(
          await only(tensors, `weights.${name}.${parameter}`).data(),
        )
      }
    },
  )

  it.each(layers)('%s gives the output and the gradients of PyTorch', async (name, layer) => {
    await torch.scopeAsync(async () => {
      const x = only(tensors, `input.${name}`).detach().clone().requiresGrad_()
      const y = layer.forward(x)
      expect(await distance(y, only(tensors, `expected.${name}`))).toBeLessThan(1e-6)
      y.square().sum().backward()
      const gradient = x.grad as torch.Tensor
      expect(await distance(gradient, only(tensors, `grad.${name}.input`))).toBeLessThan(1e-5)
      for (const [parameter, tensor] of layer.namedParameters()) {
        const found = tensor.grad as torch.Tensor
        expect(await distance(found, only(tensors, `grad.${name}.${parameter}`))).toBeLessThan(1e-5)
      }
    })
  })

  it('random numbers and dropout masks are those of PyTorch', async () => {
    await torch.scopeAsync(async () => {
      torch.manualSeed(0)
      const dropout = new Dropout(0.3)
      expect(await torch.randn([20]).data()).toEqual(await only(tensors, 'expected.randn').data())
      const dropped = dropout.forward(torch.ones([64]))
      expect(await dropped.data()).toEqual(await only(tensors, 'expected.dropout').data())
      expect(await torch.rand([20]).data()).toEqual(await only(tensors, 'expected.rand').data())
    })
  })

  it('Dropout in eval mode and Identity hand on the tensor itself', () => {
    torch.scope(() => {
      const x = torch.ones([2])
      expect(new Dropout(0.9).eval().forward(x)).toBe(x)
      expect(new Identity().forward(x)).toBe(x)
    })
  })

  it('SiLU and Tanh follow their formulae', async () => {
    await torch.scopeAsync(async () => {
      const values = [-3, -0.5, 0, 1, 4]
      const x = torch.tensor(Float32Array.from(values))
      const [silu, tanh] = [await new SiLU().forward(x).data(), await new Tanh().forward(x).data()]
      values.forEach((v, i) => {
        expect(silu[i]).toBeCloseTo(v / (1 + Math.exp(-v)), 6)
        expect(tanh[i]).toBeCloseTo(Math.tanh(v), 6)
      })
    })
  })

  it('Upsample repeats each pixel', async () => {
    await torch.scopeAsync(async () => {
      const x = torch.tensor(Float32Array.of(1, 2, 3, 4)).reshape([1, 1, 2, 2])
      expect(await new Upsample().forward(x).tolist()).toEqual([
        [
          [
            [1, 1, 2, 2],
            [1, 1, 2, 2],
            [3, 3, 4, 4],
            [3, 3, 4, 4],
          ],
        ],
      ])
    })
  })

  it.each(['new', 'legacy'] as const)(
    'self-attention in %s head order is softmax(q k / sqrt c) v',
    async (headOrder) => {
      await torch.scopeAsync(async () => {
        const [tokens, heads, size] = [3, 2, 4]
        const qkv = torch.randn([1, tokens, 3 * heads * size])
        const [mixed] = (await functional
          .selfAttention(qkv, { heads, headOrder })
          .tolist()) as number[][][]
        const [rows] = (await qkv.tolist()) as number[][][]
        const part = (which: number, head: number, token: number) => {
          const start = (headOrder === 'new' ? which * heads + head : head * 3 + which) * size
          return (rows as number[][])[token]?.slice(start, start + size) ?? []
        }
        const dot = (a: number[], b: number[]) =>
          a.reduce((sum, v, i) => sum + v * (b[i] as number), 0)
        for (let head = 0; head < heads; head++) {
          for (let token = 0; token < tokens; token++) {
            const weights = Array.from({ length: tokens }, (_, other) =>
              Math.exp(dot(part(0, head, token), part(1, head, other)) / Math.sqrt(size)),
            )
            const total = weights.reduce((a, b) => a + b)
            for (let i = 0; i < size; i++) {
              const wanted = weights.reduce(
                (sum, w, other) => sum + (w / total) * (part(2, head, other)[i] as number),
                0,
              )
              expect(mixed?.[token]?.[head * size + i]).toBeCloseTo(wanted, 4)
            }
          }
        }
      })
    },
  )

  it('impossible sizes are refused with the reason', () => {
    expect(() => new GroupNorm(32, 40)).toThrow('cannot split 40 channels into 32 equal groups')
    expect(() => new Dropout(1.5)).toThrow('probability 0..1, not 1.5')
    expect(() => new Conv2d(3, 4, 3, { groups: 2 })).toThrow('divisible by groups')
  })
})
