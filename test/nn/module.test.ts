/** The module tree: names, state dicts, modes, printing, memory. */
import { describe, expect, it } from 'vitest'
import {
  BatchNorm1d,
  Conv2d,
  Dropout,
  GroupNorm,
  Linear,
  Module,
  ModuleDict,
  ModuleList,
  ParameterDict,
  ParameterList,
  Sequential,
  SiLU,
} from '#lib/nn/index.js'
import * as torch from '#lib/torch/index.js'

class Block extends Module {
  readonly first_conv: Conv2d
  readonly scale: torch.Tensor
  readonly mean: torch.Tensor
  readonly cache: torch.Tensor
  readonly tail: Sequential

  constructor() {
    super()
    this.first_conv = new Conv2d(1, 2, 3)
    this.scale = torch.keep(torch.ones([2]).requiresGrad_())
    this.mean = this.registerBuffer('mean', torch.zeros([2]))
    this.cache = this.registerBuffer('cache', torch.zeros([3]), { persistent: false })
    this.tail = new Sequential(new SiLU(), new Linear(4, 5, { bias: false }))
  }
}

describe('Module', () => {
  it('names parameters by fields and indices, own ones first, as PyTorch does', () => {
    using block = new Block()
    expect([...block.namedParameters()].map(([name]) => name)).toEqual([
      'scale',
      'first_conv.weight',
      'first_conv.bias',
      'tail.1.weight',
    ])
    expect([...block.namedBuffers()].map(([name]) => name)).toEqual(['mean', 'cache'])
    expect(Object.keys(block.stateDict())).toEqual([
      'scale',
      'mean',
      'first_conv.weight',
      'first_conv.bias',
      'tail.1.weight',
    ])
    expect(block.parameterCount()).toBe(2 + 18 + 2 + 20)
  })

  it('lists a shared parameter once', () => {
    using shared = new Linear(2, 2)
    const twice = new ModuleList([shared, shared])
    expect([...twice.namedParameters()].map(([name]) => name)).toEqual(['0.weight', '0.bias'])
  })

  it('loads what another module of the same shape saved', async () => {
    using source = new Block()
    using target = new Block()
    expect(target.loadStateDict(source.stateDict())).toEqual({ missing: [], unexpected: [] })
    for (const [name, tensor] of Object.entries(source.stateDict())) {
      expect(await target.stateDict()[name]?.data()).toEqual(await tensor.data())
    }
  })

  it('refuses a state dict that does not fit, names every difference, and changes nothing', async () => {
    using block = new Linear(2, 3)
    const before = await block.weight.data()
    using wrong = torch.ones([3, 4])
    using other = torch.ones([1])
    const load = () => block.loadStateDict({ weight: wrong, extra: other })
    expect(load).toThrow(expect.objectContaining({ code: 'ERR_CHECKPOINT' }))
    expect(load).toThrow(
      /missing \(1\): bias\. unexpected \(1\): extra\. .*weight \[3, 4\] where the model has \[3, 2\]/,
    )
    expect(await block.weight.data()).toEqual(before)
    using fitting = torch.ones([3, 2])
    const report = block.loadStateDict({ weight: fitting, extra: other }, { strict: false })
    expect(report).toEqual({ missing: ['bias'], unexpected: ['extra'] })
    expect(await block.weight.tolist()).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ])
  })

  it('switches the whole tree between training and evaluation', () => {
    const tree = new Sequential(new Sequential(new Dropout(0.5)), new Dropout(0.1))
    expect([...tree.eval().namedModules()].map(([, module]) => module.training)).toEqual([
      false,
      false,
      false,
      false,
    ])
    expect([...tree.train().namedModules()].every(([, module]) => module.training)).toBe(true)
  })

  it('turns gradients off and on', () => {
    using layer = new Linear(2, 2)
    layer.requiresGrad_(false)
    expect(layer.weight.requiresGrad).toBe(false)
    layer.requiresGrad_()
    expect([...layer.parameters()].every((tensor) => tensor.requiresGrad)).toBe(true)
  })

  it('converts its dtype and still trains', async () => {
    using layer = new Linear(2, 1)
    const before = await layer.weight.data()
    layer.to('float64')
    expect(layer.weight.dtype).toBe('float64')
    expect([...(await layer.weight.data())]).toEqual([...before])
    await torch.scopeAsync(async () => {
      layer
        .forward(torch.ones([1, 2], { dtype: 'float64' }))
        .sum()
        .backward()
      expect(await layer.weight.grad?.tolist()).toEqual([[1, 1]])
      layer.zeroGrad()
      expect(layer.weight.grad).toBeNull()
    })
  })

  it('prints as a tree', () => {
    using tree = new Sequential(
      new Conv2d(3, 8, 3, { stride: 2, padding: 1 }),
      new Sequential(new GroupNorm(2, 8), new Dropout(0.1)),
    )
    expect(String(tree)).toBe(
      [
        'Sequential(',
        '  (0): Conv2d(3, 8, kernel=3x3, stride=2x2, padding=1x1)',
        '  (1): Sequential(',
        '    (0): GroupNorm(2, 8, eps=0.00001)',
        '    (1): Dropout(p=0.1)',
        '  )',
        ')',
      ].join('\n'),
    )
  })

  it('keeps parameters through scopes and frees them all on dispose', () => {
    const before = torch.memory().tensors
    const block = torch.scope(() => new Block())
    expect(torch.memory().tensors).toBe(before + 6)
    block.dispose()
    expect(torch.memory().tensors).toBe(before)
  })

  it('ModuleDict names children by key, ModuleList by index', () => {
    using dict = new ModuleDict({ up: new Linear(1, 1) })
    expect(Object.keys(dict.stateDict())).toEqual(['up.weight', 'up.bias'])
    using list = new ModuleList([new Linear(1, 1)])
    expect(list.push(new Linear(2, 1)).length).toBe(2)
    expect(list.at(-1).weight.shape).toEqual([1, 2])
    expect(() => list.at(5)).toThrow('no index 5')
  })
})

describe('what PyTorch users know of modules', () => {
  it('walks children and modules, each once, and finds them by name', () => {
    using shared = new Linear(2, 2)
    using tree = new Sequential(shared, new Sequential(shared, new SiLU()))
    expect([...tree.children()]).toHaveLength(2)
    expect([...tree.modules()].map((module) => module.constructor.name)).toEqual([
      'Sequential',
      'Linear',
      'Sequential',
      'SiLU',
    ])
    expect(tree.getSubmodule('1.0')).toBe(shared)
    expect(tree.getParameter('0.bias')).toBe(shared.bias)
    expect(() => tree.getParameter('0.bia')).toThrow(
      "There is no parameter '0.bia'; did you mean '0.bias'?",
    )
  })

  it('applies a function to children before parents', () => {
    using tree = new Sequential(new Linear(1, 1), new Sequential(new SiLU()))
    const seen: string[] = []
    tree.apply((module) => seen.push(module.constructor.name))
    expect(seen).toEqual(['Linear', 'SiLU', 'Sequential', 'Sequential'])
  })

  it('moves to a device and a dtype at once, integer buffers keep theirs', () => {
    using norm = new BatchNorm1d(2).to('cpu', 'float64')
    expect(norm.weight?.dtype).toBe('float64')
    expect(norm.num_batches_tracked?.dtype).toBe('int64')
    expect(norm.half().running_mean?.dtype).toBe('float16')
    expect(norm.to({ dtype: 'float32' }).weight?.dtype).toBe('float32')
  })

  it('calls hooks around forward until they are removed', async () => {
    using double = new Linear(1, 1, { bias: false })
    torch.noGrad(() => double.weight.fill_(2))
    const seen: string[] = []
    const before = double.registerForwardPreHook((_module, [x]) => {
      seen.push('before')
      return [(x as torch.Tensor).add(1)]
    })
    const after = double.registerForwardHook((module, _inputs, output) => {
      seen.push(module === double ? 'after' : 'other')
      return (output as torch.Tensor).neg()
    })
    const run = () => new Sequential(double).forward(torch.tensor([[1]])).tolist()
    expect(await run()).toEqual([[-4]])
    after.remove()
    expect(await run()).toEqual([[4]])
    before.remove()
    expect(await run()).toEqual([[2]])
    expect(seen).toEqual(['before', 'after', 'before'])
    expect(Object.keys(double.stateDict())).toEqual(['weight'])
  })

  it('edits lists and dictionaries of modules', () => {
    using list = new ModuleList([new SiLU()])
    list.append(new Linear(1, 1)).extend([new Dropout()]).insert(0, new Dropout())
    expect([...list].map((module) => module.constructor.name)).toEqual([
      'Dropout',
      'SiLU',
      'Linear',
      'Dropout',
    ])
    expect(list.pop().constructor.name).toBe('Dropout')
    list.pop(0)
    expect(Object.keys(list.stateDict())).toEqual(['1.weight', '1.bias'])
    using dictionary = new ModuleDict<Module>({ a: new SiLU() }).update({ b: new Linear(1, 1) })
    expect([...dictionary.items()].map(([key]) => key)).toEqual(['a', 'b'])
    dictionary.pop('a')
    expect([dictionary.has('a'), dictionary.length]).toEqual([false, 1])
  })

  it('holds parameters in lists and dictionaries', async () => {
    class Scales extends Module {
      readonly list = new ParameterList([torch.ones([2])])
      readonly named = new ParameterDict({ shift: torch.zeros([1]) })
    }
    using scales = new Scales()
    scales.list.append(torch.ones([1]))
    expect([...scales.namedParameters()].map(([name]) => name)).toEqual([
      'list.0',
      'list.1',
      'named.shift',
    ])
    scales.to('float64')
    expect(scales.list.at(0).dtype).toBe('float64')
    expect(scales.named.get('shift')?.requiresGrad).toBe(true)
    expect(() => scales.list.at(5)).toThrow(/no index 5/)
  })
})
