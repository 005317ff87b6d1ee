/** Every layer and loss of lib/nn against PyTorch: initial values, outputs, gradients, running statistics, eval mode. */
import { describe, expect, it } from 'vitest'
import * as nn from '#lib/nn/index.js'
import * as torch from '#lib/torch/index.js'
import { distance, fixture, named, only } from '../model/parity.js'

interface LayerCase {
  layer: string
  args: unknown[]
  inputs: number[][]
  seeded?: boolean
  steps?: number
  target?: unknown
  state: string[]
}

interface Description {
  cases: LayerCase[]
  initial: { name: string; args: unknown[]; shape: number[] }[]
}

type AnyModule = nn.Module & { forward(...inputs: torch.Tensor[]): torch.Tensor }
const classes = nn as unknown as Record<string, new (...args: unknown[]) => AnyModule>
const initializers = nn.init as unknown as Record<
  string,
  (tensor: torch.Tensor, ...args: unknown[]) => torch.Tensor | Promise<torch.Tensor>
>

const { description, tensors } = await fixture<Description>('nn')

/** Values that are equal but for the rounding of another order of the same operations. */
async function close(actual: torch.Tensor, expected: torch.Tensor): Promise<void> {
  expect(actual.shape).toEqual(expected.shape)
  expect(await distance(actual, expected, 1e-6)).toBeLessThan(2e-6)
}

describe('layers and losses', () => {
  const cases = description.cases.map((entry, index) => ({
    ...entry,
    index,
    title: `${entry.layer}(${entry.args.map((arg) => JSON.stringify(arg)).join(', ')})`,
  }))

  it.each(cases)('$title is that of PyTorch', async ({ index, layer, args, ...more }) => {
    await torch.scopeAsync(async () => {
      const own = named(tensors, `${index}.`)
      torch.manualSeed(index)
      const Layer = classes[layer]
      if (!Layer) throw new Error(`nn has no ${layer}`)
      const module = new Layer(...args)
      const weights = named(own, 'weights.')
      expect(Object.keys(module.stateDict())).toEqual(more.state)
      for (const [name, tensor] of Object.entries(module.stateDict())) {
        expect(await tensor.data()).toEqual(await only(weights, name).data())
      }
      const inputs = Object.values(named(own, 'input.')).map((tensor, i) =>
        i < more.inputs.length ? tensor.clone().requiresGrad_() : tensor,
      )
      if (more.seeded) torch.manualSeed(7)
      let y = module.forward(...inputs)
      for (let step = 1; step < (more.steps ?? 1); step++) y = module.forward(...inputs)
      await close(y, only(own, 'expected'))
      y.pow(3).sum().backward()
      for (let i = 0; i < more.inputs.length; i++) {
        const gradient = own[`grad.${i}`]
        if (gradient) await close(inputs[i]?.grad as torch.Tensor, gradient)
      }
      for (const [name, parameter] of module.namedParameters()) {
        await close(parameter.grad as torch.Tensor, only(own, `grad.${name}`))
      }
      for (const [name, buffer] of module.namedBuffers()) {
        await close(buffer, only(own, `after.${name}`))
      }
      await close(module.eval().forward(...inputs), only(own, 'eval'))
      module.dispose()
    })
  })

  it('covers every class of nn', () => {
    const apart = [
      // Tested in layers.test.ts, module.test.ts, functional.test.ts and below.
      ...['Linear', 'Identity', 'Module', 'ModuleList', 'ModuleDict', 'Sequential'],
      ...['MultiheadAttention', 'TransformerEncoder', 'TransformerDecoder', 'CTCLoss'],
      // Tested in sequences.test.ts.
      ...['RNN', 'LSTM', 'GRU', 'RNNCell', 'LSTMCell', 'GRUCell', 'Transformer'],
      ...['ParameterList', 'ParameterDict', 'MaxUnpool1d', 'MaxUnpool2d', 'MaxUnpool3d'],
    ]
    const tested = new Set([...apart, ...description.cases.map(({ layer }) => layer)])
    const exported = Object.keys(nn).filter((name) => /^[A-Z]/.test(name))
    expect(exported.filter((name) => !tested.has(name))).toEqual([])
  })
})

describe('MultiheadAttention', () => {
  const own = named(tensors, 'attention.')
  const attention = new nn.MultiheadAttention(8, 2)
  attention.loadStateDict(named(own, 'weights.'))

  it('applies a padding mask and an additive mask together, with and without weights', async () => {
    await torch.scopeAsync(async () => {
      const options = { keyPaddingMask: only(own, 'padding'), attnMask: only(own, 'allowed') }
      const [query, key, value] = [only(own, 'query'), only(own, 'key'), only(own, 'value')]
      const [mixed, none] = attention.forward(query, key, value, options)
      expect(none).toBeNull()
      await close(mixed, only(own, 'mixed'))
      const [same, weights] = attention.forward(query, key, value, {
        ...options,
        needWeights: true,
      })
      await close(same, only(own, 'mixed'))
      await close(weights as torch.Tensor, only(own, 'mean'))
    })
  })

  it('sees earlier tokens only when it is causal', async () => {
    await torch.scopeAsync(async () => {
      const query = only(own, 'query')
      const everyone = torch.zeros([2, 5], { dtype: 'bool' })
      const ways = [
        { isCausal: true },
        { isCausal: true, needWeights: true },
        { isCausal: true, keyPaddingMask: everyone },
      ]
      for (const options of ways) {
        await close(attention.forward(query, query, query, options)[0], only(own, 'order'))
      }
    })
  })
})

describe('transformer stacks', () => {
  it('are their layers in a row, with the last norm', async () => {
    await torch.scopeAsync(async () => {
      const options = { feedForward: 8, dropout: 0 }
      const layers = [1, 2].map(() => new nn.TransformerEncoderLayer(4, 2, options))
      const norm = new nn.LayerNorm(4)
      const x = torch.randn([3, 1, 4])
      const stack = new nn.TransformerEncoder(layers, { norm })
      const byHand = norm.forward(layers.reduce((y, layer) => layer.forward(y), x))
      await close(stack.forward(x), byHand)
      const decoders = [1, 2].map(() => new nn.TransformerDecoderLayer(4, 2, options))
      const tgt = torch.randn([2, 1, 4])
      const decoded = decoders.reduce((y, layer) => layer.forward(y, x), tgt)
      await close(new nn.TransformerDecoder(decoders).forward(tgt, x), decoded)
      for (const module of [stack, ...decoders]) module.dispose()
    })
  })
})

describe('CTCLoss', () => {
  it('is -log of the sum over all alignments', async () => {
    await torch.scopeAsync(async () => {
      // Two frames, blank 0, target "1": the alignments are 11, 01 and 10.
      const p = [
        [0.6, 0.4],
        [0.3, 0.7],
      ]
      const logProbs = torch.tensor(p.map((row) => [row.map(Math.log)]))
      const loss = new nn.CTCLoss({ reduction: 'sum' })
      const value = await loss
        .forward(logProbs, torch.tensor([[1n]], { dtype: 'int64' }), [2], [1])
        .item()
      expect(value).toBeCloseTo(-Math.log(0.4 * 0.7 + 0.6 * 0.7 + 0.4 * 0.3), 5)
    })
  })
})

describe('initial values', () => {
  const cases = description.initial.map((entry, index) => ({ ...entry, index }))

  it.each(cases)(
    '$name is that of PyTorch after the same seed',
    async ({ name, args, shape, index }) => {
      await torch.scopeAsync(async () => {
        torch.manualSeed(index)
        const tensor = torch.empty(shape)
        expect(await initializers[name]?.(tensor, ...args)).toBe(tensor)
        await close(tensor, only(tensors, `init.${index}`))
      })
    },
  )
})

describe('wrong options', () => {
  it('are refused with the name of what is wrong', () => {
    expect(() => new nn.Conv2d(3, 4, [3, 3, 3])).toThrow(/kernel wants one whole number or 2/)
    expect(() => new nn.Conv2d(3, 4, 3, { groups: 2 })).toThrow(/divisible by groups/)
    expect(() => new nn.Conv1d(3, 4, 3, { padding: 'same', stride: 2 })).toThrow(/needs stride 1/)
    expect(() => new nn.MaxPool2d(0)).toThrow(/kernel wants/)
    expect(() => new nn.ReflectionPad2d([1, 2])).toThrow(/4 of them/)
    expect(() => new nn.MultiheadAttention(8, 3)).toThrow(/8 channels among 3 heads/)
    expect(() => new nn.Embedding(4, 2, { paddingIdx: 4 })).toThrow(/no row of a table of 4/)
    expect(() => new nn.Dropout2d(1.5)).toThrow(/Dropout2d needs a probability/)
    torch.scope(() => {
      expect(() => new nn.BatchNorm2d(3).forward(torch.ones([2, 3]))).toThrow(
        /BatchNorm2d wants an input of 4/,
      )
      expect(() =>
        nn.functional.mseLoss(torch.ones([1]), torch.ones([1]), { reduction: 'avg' as 'mean' }),
      ).toThrow(/not 'avg'/)
    })
  })
})
