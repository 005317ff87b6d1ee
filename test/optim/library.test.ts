/** Every optimiser and scheduler of lib/optim against PyTorch. */
import { describe, expect, it } from 'vitest'
import * as optim from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'
import { distance, fixture, only } from '../model/parity.js'

interface Description {
  optimizers: { name: string; options: Record<string, unknown> }[]
  schedulers: { name: string; args: unknown[]; rates: number[] }[]
}

type AnyOptimizer = optim.Optimizer<{ lr: number }>
const optimizers = optim as unknown as Record<
  string,
  new (
    parameters: unknown,
    options?: unknown,
  ) => AnyOptimizer
>
const schedulers = optim.lrScheduler as unknown as Record<
  string,
  new (
    optimizer: AnyOptimizer,
    ...args: unknown[]
  ) => optim.lrScheduler.LRScheduler
>

const { description, tensors } = await fixture<Description>('optim')

function make(name: string, parameters: unknown, options?: unknown): AnyOptimizer {
  const Optimizer = optimizers[name]
  if (!Optimizer) throw new Error(`optim has no ${name}`)
  return new Optimizer(parameters, options)
}

/** The parameters and gradients of a case. */
async function start(
  index: number,
): Promise<{ parameters: torch.Tensor[]; gradients: torch.Tensor }> {
  const leaf = (i: number) =>
    torch.keep(only(tensors, `${index}.start.${i}`).clone().requiresGrad_())
  return { parameters: [leaf(0), leaf(1)], gradients: only(tensors, `${index}.gradients`) }
}

/** Gives row `k` of `gradients` to a 3x2 and a 4-element parameter by a backward pass. */
function backward(parameters: torch.Tensor[], gradients: torch.Tensor, k: number): void {
  torch.scope(() => {
    const [matrix, vector] = parameters as [torch.Tensor, torch.Tensor]
    const row = gradients.select(0, k)
    const weighted = matrix.mul(row.narrow(0, 0, 6).reshape([3, 2])).sum()
    weighted.add(vector.mul(row.narrow(0, 6, 4)).sum()).backward()
  })
}

describe('optimisers', () => {
  const cases = description.optimizers.map((entry, index) => ({
    ...entry,
    index,
    title: `${entry.name} ${JSON.stringify(entry.options)}`,
  }))

  it.each(cases)('$title takes the steps of PyTorch', async ({ name, options, index }) => {
    const { parameters, gradients } = await start(index)
    const optimizer = make(name, parameters, options)
    for (let k = 0; k < 3; k++) {
      optimizer.zeroGrad()
      backward(parameters, gradients, k)
      optimizer.step()
    }
    for (const [i, parameter] of parameters.entries()) {
      expect(await distance(parameter, only(tensors, `${index}.end.${i}`))).toBeLessThan(1e-6)
    }
    optimizer.dispose()
    for (const parameter of parameters) parameter.dispose()
  })

  it.each(cases)('$title goes on from saved statistics', async ({ name, options, index }) => {
    const { parameters, gradients } = await start(index)
    const first = make(name, parameters, options)
    backward(parameters, gradients, 0)
    first.step()
    const second = make(name, parameters, options)
    second.loadStateDict(first.stateDict())
    for (let k = 1; k < 3; k++) {
      second.zeroGrad()
      backward(parameters, gradients, k)
      second.step()
    }
    for (const [i, parameter] of parameters.entries()) {
      expect(await distance(parameter, only(tensors, `${index}.end.${i}`))).toBeLessThan(1e-6)
    }
    for (const optimizer of [first, second]) optimizer.dispose()
    for (const parameter of parameters) parameter.dispose()
  })

  it.each([...new Set(description.optimizers.map(({ name }) => name))])(
    '%s leaves a parameter without a gradient alone',
    async (name) => {
      const [used, unused] = [1, 2].map((value) =>
        torch.keep(torch.full([2], value, { dtype: 'float32' }).requiresGrad_()),
      ) as [torch.Tensor, torch.Tensor]
      const options = name === 'AdamW' ? { weightDecay: 0.5 } : { weightDecay: 0.5, lr: 0.1 }
      const optimizer = make(name, [used, unused], options)
      torch.scope(() => used.sum().backward())
      optimizer.step()
      expect([...(await unused.data())]).toEqual([2, 2])
      expect((await used.data())[0]).toBeLessThan(1)
      optimizer.dispose()
      for (const parameter of [used, unused]) parameter.dispose()
    },
  )

  it('step each group with its own options', async () => {
    const [a, b] = [1, 2].map(() => torch.keep(torch.ones([1]).requiresGrad_())) as [
      torch.Tensor,
      torch.Tensor,
    ]
    const optimizer = new optim.SGD([{ params: [a], lr: 0.5 }, { params: [['b', b]] }], { lr: 0.1 })
    torch.scope(() => a.add(b).backward())
    optimizer.step()
    expect((await a.data())[0]).toBeCloseTo(0.5)
    expect((await b.data())[0]).toBeCloseTo(0.9)
    expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual([0.5, 0.1])
    optimizer.lr = 0.2
    expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual([0.2, 0.2])
    for (const parameter of [a, b]) parameter.dispose()
  })

  it('take further parameters later', async () => {
    const [a, b] = [1, 2].map(() => torch.keep(torch.ones([1]).requiresGrad_())) as [
      torch.Tensor,
      torch.Tensor,
    ]
    const optimizer = new optim.SGD([a], { lr: 0.1, momentum: 0.9 })
    optimizer.addParamGroup({ params: [b], lr: 0.5 })
    torch.scope(() => a.add(b).backward())
    optimizer.step()
    expect((await a.data())[0]).toBeCloseTo(0.9)
    expect((await b.data())[0]).toBeCloseTo(0.5)
    expect(optimizer.paramGroups.map(({ momentum }) => momentum)).toEqual([0.9, 0.9])
    expect(() => optimizer.addParamGroup({ params: [a] })).toThrow(/twice/)
    for (const parameter of [a, b]) parameter.dispose()
  })

  it('refuse options out of range, no parameters, and a parameter twice', () => {
    torch.scope(() => {
      const parameter = torch.ones([1]).requiresGrad_()
      expect(() => new optim.SGD([parameter], { lr: -1 })).toThrow(/lr must be 0 or more, not -1/)
      expect(() => new optim.Adam([parameter], { betas: [0.9, 1] })).toThrow(/betas must be from 0/)
      expect(() => new optim.SGD([parameter], { nesterov: true })).toThrow(/nesterov needs/)
      expect(() => new optim.RMSprop([])).toThrow(/no parameters/)
      expect(() => new optim.AdamW([parameter, parameter])).toThrow(/twice/)
      const misspelt = { learningRate: 1 } as object
      expect(() => new optim.SGD([parameter], misspelt)).toThrow(/no option 'learningRate'/)
    })
  })
})

describe('learning-rate schedulers', () => {
  const optimizer = () => {
    const group = { lr: 0.4 }
    return { paramGroups: [group], group }
  }

  function build(name: string, args: unknown[], on: { paramGroups: { lr: number }[] }) {
    const Scheduler = schedulers[name]
    if (!Scheduler) throw new Error(`lrScheduler has no ${name}`)
    return new Scheduler(on as unknown as AnyOptimizer, ...args)
  }

  it.each(description.schedulers)('$name gives the rates of PyTorch', ({ name, args, rates }) => {
    const target = optimizer()
    const scheduler = build(name, args, target)
    const found = [target.group.lr]
    for (let step = 1; step < rates.length; step++) {
      scheduler.step()
      found.push(target.group.lr)
    }
    found.forEach((rate, i) => {
      expect(rate).toBeCloseTo(rates[i] as number, 12)
    })
  })

  it.each(description.schedulers)(
    '$name resumes at the step that it was saved at',
    ({ name, args, rates }) => {
      const first = build(name, args, optimizer())
      for (let step = 0; step < 4; step++) first.step()
      const target = optimizer()
      const second = build(name, args, target)
      second.loadStateDict(JSON.parse(JSON.stringify(first.stateDict())))
      expect(target.group.lr).toBeCloseTo(rates[4] as number, 12)
      second.step()
      expect(second.getLastLr()[0]).toBeCloseTo(rates[5] as number, 12)
    },
  )

  it("options stand in PyTorch's order or in an object, and wrong ones are named", () => {
    const on = () => optimizer() as unknown as AnyOptimizer
    const { StepLR, LinearLR, CyclicLR, ReduceLROnPlateau } = optim.lrScheduler
    const rate = (scheduler: optim.lrScheduler.LRScheduler) => {
      scheduler.step()
      return scheduler.getLastLr()[0]
    }
    expect(rate(new StepLR(on(), 1, 0.5))).toBe(rate(new StepLR(on(), 1, { gamma: 0.5 })))
    expect(rate(new StepLR(on(), 1, 0.5))).toBeCloseTo(0.2, 12)
    expect(rate(new LinearLR(on(), 0.5, 1, 2))).toBeCloseTo(0.3, 12)
    expect(rate(new CyclicLR(on(), 0.1, 0.3, 2))).toBeCloseTo(0.2, 12)
    expect(() => new StepLR(on(), { stepSize: 1 } as never)).toThrow(/stepSize must be a number/)
    expect(() => new StepLR(on(), 1, { gama: 0.5 } as never)).toThrow(/Did you mean 'gamma'/)
    expect(() => new ReduceLROnPlateau(on(), { patienc: 1 } as never)).toThrow(/'patience'/)
  })

  it('MultiplicativeLR multiplies what is there', () => {
    const target = optimizer()
    const on = target as unknown as AnyOptimizer
    const scheduler = new optim.lrScheduler.MultiplicativeLR(on, (n) => 1 / n)
    for (let step = 0; step < 3; step++) scheduler.step()
    expect(target.group.lr).toBeCloseTo(0.4 / 6, 12)
  })

  it('LambdaLR multiplies, and SequentialLR starts the next one at its milestone', () => {
    const target = optimizer()
    const on = target as unknown as AnyOptimizer
    const warmup = new optim.lrScheduler.LambdaLR(on, (n) => (n + 1) / 4)
    const decay = new optim.lrScheduler.ExponentialLR(on, 0.5)
    const scheduler = new optim.lrScheduler.SequentialLR(on, [warmup, decay], [3])
    const found = [target.group.lr]
    for (let step = 0; step < 5; step++) {
      scheduler.step()
      found.push(target.group.lr)
    }
    const wanted = [0.1, 0.2, 0.3, 0.4, 0.2, 0.1]
    found.forEach((rate, i) => {
      expect(rate).toBeCloseTo(wanted[i] as number, 12)
    })
  })

  it('ReduceLROnPlateau cuts when its patience is over, and no further than minLr', () => {
    const target = optimizer()
    const scheduler = new optim.lrScheduler.ReduceLROnPlateau(target as unknown as AnyOptimizer, {
      factor: 0.5,
      patience: 1,
      minLr: 0.15,
    })
    const rates = [1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9].map((metric) => {
      scheduler.step(metric)
      return target.group.lr
    })
    expect(rates).toEqual([0.4, 0.4, 0.4, 0.2, 0.2, 0.15, 0.15, 0.15])
  })
})
