/** Recurrent layers, the transformer and attention over other widths against PyTorch: initial values, results, gradients. */
import { describe, expect, it } from 'vitest'
import * as nn from '#lib/nn/index.js'
import * as torch from '#lib/torch/index.js'
import { distance, fixture, named, only } from '../model/parity.js'

type Shape = number[] | number[][]
type Nested = torch.Tensor | null | readonly Nested[]

interface Description {
  cases: { layer: string; args: unknown[]; inputs: Shape[]; seeded?: boolean; state: string[] }[]
}

type AnyModule = nn.Module & { forward(...inputs: unknown[]): Nested }
const classes = nn as unknown as Record<string, new (...args: unknown[]) => AnyModule>
const { description, tensors } = await fixture<Description>('sequences')

function flat(values: Nested): torch.Tensor[] {
  if (values === null) return []
  return values instanceof torch.Tensor ? [values] : values.flatMap(flat)
}

async function close(actual: torch.Tensor, expected: torch.Tensor): Promise<void> {
  expect(await distance(actual, expected, 1e-6)).toBeLessThan(5e-6)
}

describe('sequences', () => {
  const cases = description.cases.map((entry, index) => ({
    ...entry,
    index,
    title: `${entry.layer}(${entry.args.map((arg) => JSON.stringify(arg)).join(', ')}) of ${JSON.stringify(entry.inputs)}`,
  }))

  it.each(cases)('$title is that of PyTorch', async ({ index, layer, args, inputs, ...more }) => {
    await torch.scopeAsync(async () => {
      const own = named(tensors, `${index}.`)
      torch.manualSeed(index)
      const Layer = classes[layer]
      if (!Layer) throw new Error(`nn has no ${layer}`)
      const module = new Layer(...args)
      expect(Object.keys(module.stateDict())).toEqual(more.state)
      for (const [name, tensor] of Object.entries(module.stateDict())) {
        expect(await tensor.data()).toEqual(await only(own, `weights.${name}`).data())
      }
      let next = 0
      const leaves: torch.Tensor[] = []
      const take = () => {
        const leaf = only(own, `input.${next++}`).clone().requiresGrad_()
        leaves.push(leaf)
        return leaf
      }
      const given = inputs.map((shape) => (Array.isArray(shape[0]) ? shape.map(take) : take()))
      if (more.seeded) torch.manualSeed(7)
      const results = flat(module.forward(...given))
      expect(results.length).toBe(Object.keys(named(own, 'expected.')).length)
      for (const [i, result] of results.entries()) await close(result, only(own, `expected.${i}`))
      results
        .map((result) => result.pow(3).sum())
        .reduce((a, b) => a.add(b))
        .backward()
      for (const [i, leaf] of leaves.entries()) {
        await close(leaf.grad as torch.Tensor, only(own, `grad.${i}`))
      }
      for (const [name, parameter] of module.namedParameters()) {
        await close(parameter.grad as torch.Tensor, only(own, `grad.${name}`))
      }
      for (const [i, result] of flat(module.eval().forward(...given)).entries()) {
        await close(result, only(own, `eval.${i}`))
      }
      module.dispose()
    })
  })

  it('an LSTM is its cell, step by step, in float64 too', async () => {
    await torch.scopeAsync(async () => {
      const lstm = new nn.LSTM(3, 5).to('float64')
      const cell = new nn.LSTMCell(3, 5).to('float64')
      const { weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 } = lstm.stateDict()
      cell.loadStateDict({
        weight_ih: weight_ih_l0 as torch.Tensor,
        weight_hh: weight_hh_l0 as torch.Tensor,
        bias_ih: bias_ih_l0 as torch.Tensor,
        bias_hh: bias_hh_l0 as torch.Tensor,
      })
      const x = torch.randn([4, 2, 3], { dtype: 'float64' })
      let states: [torch.Tensor, torch.Tensor] | null = null
      const outputs = x.unbind(0).map((step) => {
        states = cell.forward(step, states)
        return states[0]
      })
      const [whole] = lstm.forward(x)
      expect(await distance(whole, torch.stack(outputs))).toBeLessThan(1e-14)
    })
  })

  it('Transformer masks: a causal mask is the square subsequent one', async () => {
    await torch.scopeAsync(async () => {
      const transformer = new nn.Transformer(8, 2, 1, 1, 12, 0)
      const [src, tgt] = [torch.randn([5, 2, 8]), torch.randn([4, 2, 8])]
      const tgtMask = nn.Transformer.generateSquareSubsequentMask(4)
      const masked = transformer.forward(src, tgt, { tgtMask })
      await close(transformer.forward(src, tgt, { tgtIsCausal: true }), masked)
      const other = torch.cat([tgt.narrow(0, 0, 3), torch.randn([1, 2, 8])])
      const changed = transformer.forward(src, other, { tgtMask })
      await close(changed.narrow(0, 0, 3), masked.narrow(0, 0, 3))
      expect(await distance(changed, masked)).toBeGreaterThan(1e-3)
    })
  })

  it('refuses what does not fit by name', () => {
    expect(() => new nn.LSTM(4, 0)).toThrow(/LSTM: hidden size is 0/)
    expect(() => new nn.LSTM(4, 6, { projSize: 6 })).toThrow(/projSize 6/)
    expect(() => new nn.GRU(4, 6, { layers: 2 } as never)).toThrow(/GRU has no option 'layers'/)
    expect(() => new nn.RNN(4, 6, { nonlinearity: 'gelu' as 'relu' })).toThrow(/'gelu'/)
    expect(() => new nn.Transformer({ numDecoderLayers: 0 })).toThrow(/numDecoderLayers is 0/)
    torch.scope(() => {
      expect(() => new nn.GRU(4, 6).forward(torch.ones([5, 3, 3]))).toThrow(
        /GRU: its input is \[5,3,3\], not \[time, batch, 4\]/,
      )
    })
  })
})

describe('skipInit', () => {
  it('draws nothing, and the module takes the weights that are loaded', async () => {
    await torch.scopeAsync(async () => {
      torch.manualSeed(1)
      const expected = await torch.rand([3]).data()
      torch.manualSeed(1)
      const module = nn.utils.skipInit(() => new nn.Linear(2, 3))
      expect(await torch.rand([3]).data()).toEqual(expected)
      const source = new nn.Linear(2, 3)
      module.loadStateDict(source.stateDict())
      expect(await torch.equal(module.weight, source.weight)).toBe(true)
      expect(() =>
        nn.utils.skipInit(() => {
          throw new Error('stop')
        }),
      ).toThrow('stop')
      const drawn = new nn.Linear(200, 3)
      expect(Number(await drawn.weight.abs().max().item())).toBeLessThan(0.08)
      expect(Number(await drawn.weight.std().item())).toBeGreaterThan(0.03)
    })
  })
})
