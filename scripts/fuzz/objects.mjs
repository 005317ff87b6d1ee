// Uses of the objects of the public API (layers, optimisers, schedulers, programs, scopes, files, process groups), as
// in the tests' fixtures, with a value changed here and there.
import { readFileSync } from 'node:fs'
import * as package_ from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import * as values from './values.mjs'

const fixtures = new URL('../../test/fixtures/', import.meta.url)
const fixture = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, fixtures), 'utf8'))
const { cases: layers, initial } = fixture('nn')
const { optimizers, schedulers } = fixture('optim')

/** The values of one use. `vary` leaves most of what it is given as it is. */
class Hand {
  constructor(random, tensors) {
    this.random = random
    this.tensors = tensors
    this.oddness = random.pick([0, 0.03, 0.1, 0.3])
  }

  pick(list) {
    return this.random.pick(list)
  }

  vary(value) {
    const { random } = this
    // What is odd already may be an array of billions.
    if (Array.isArray(value) && value.length > 16) return value
    if (random.chance(this.oddness)) {
      return random.chance(0.5) ? values.odd(random, () => this.tensor()) : this.near(value)
    }
    if (Array.isArray(value)) return value.map((element) => this.vary(element))
    if (value?.constructor === Object) {
      return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, this.vary(own)]))
    }
    return value
  }

  /** The same for arguments in a row, which stay a list. */
  spread(list) {
    return list.map((element) => this.vary(element))
  }

  near(value) {
    const { random } = this
    if (typeof value === 'number')
      return random.chance(0.5) ? values.integer(random) : values.real(random)
    if (typeof value === 'boolean') return !value
    if (Array.isArray(value)) return random.chance(0.5) ? value.slice(1) : [...value, ...value]
    if (value instanceof torch.Tensor) return this.tensor()
    return undefined
  }

  tensor(shape = this.random.list(0, 4, () => this.random.int(0, 4))) {
    return torch.randn(shape)
  }
}

const uses = {
  layer(hand) {
    const { layer, args, inputs, target } = hand.pick(layers)
    const module = new torch.nn[layer](...hand.spread(args))
    const given = inputs.map((shape) => hand.vary(hand.tensor(shape)))
    if (/^Embedding/.test(layer)) given[0] = hand.vary(torch.randint(0, 3, [2, 3]))
    else if (target) given.push(hand.vary(hand.tensor(inputs[0])))
    return () => {
      const result = module.forward(...given)
      if (result.requiresGrad && result.dtype === 'float32') result.sum().backward()
      return result
    }
  },

  module(hand) {
    const { Sequential, Linear, ReLU, BatchNorm1d } = torch.nn
    const model = new Sequential(...hand.spread([new Linear(3, 4), new ReLU(), new BatchNorm1d(4)]))
    const state = hand.vary({ ...model.stateDict() })
    const options = hand.vary({ strict: true, assign: false })
    return hand.pick([
      () => model.loadStateDict(state, options),
      () => model.getParameter(hand.vary('0.weight')),
      () => model.getSubmodule(hand.vary('1')),
      () => model.to(hand.vary('cpu'), hand.vary('float64')),
      () => model.apply(hand.vary(() => {})),
      () => model.requiresGrad_(hand.vary(true)),
      () =>
        model.registerForwardHook(hand.vary(() => undefined)) && model.forward(hand.tensor([2, 3])),
      () => model.eval().forward(hand.vary(hand.tensor([2, 3]))),
      () => [...model.namedParameters()].length,
      () => String(model),
    ])
  },

  initializer(hand) {
    const { name, args, shape } = hand.pick(initial)
    const given = [hand.vary(hand.tensor(shape)), ...hand.spread(args)]
    return () => torch.nn.init[name](...given)
  },

  optimizer(hand) {
    const { name, options } = hand.pick(optimizers)
    const parameters = [[2, 3], [4]].map((shape) =>
      hand.vary(torch.randn(shape, { requiresGrad: true })),
    )
    const given = hand.vary(
      hand.random.chance(0.3) ? [{ params: parameters, lr: 0.2 }] : parameters,
    )
    const optimizer = new torch.optim[name](given, hand.vary(options))
    const next = hand.pick([
      () => optimizer.loadStateDict(hand.vary({ ...optimizer.stateDict() })),
      () =>
        optimizer.addParamGroup(hand.vary({ params: [torch.ones([2], { requiresGrad: true })] })),
      () => torch.nn.utils.clipGradNorm_(hand.vary(parameters), hand.vary(1)),
      () => optimizer.zeroGrad(),
      () => {
        optimizer.lr = hand.vary(0.1)
      },
      () => undefined,
    ])
    return () => {
      for (let i = 0; i < 2; i++) {
        for (const parameter of parameters) parameter.square().sum().backward()
        optimizer.step(...hand.spread([{}]))
        next()
      }
      optimizer.dispose()
    }
  },

  scheduler(hand) {
    const optimizer = new torch.optim.SGD([torch.ones([2], { requiresGrad: true })], { lr: 0.4 })
    const { name, args } = hand.pick(schedulers)
    const scheduler = new torch.optim.lrScheduler[name](hand.vary(optimizer), ...hand.spread(args))
    return () => {
      scheduler.step(...hand.spread(name === 'ReduceLROnPlateau' ? [0.5] : []))
      scheduler.loadStateDict(hand.vary(scheduler.stateDict()))
      return scheduler.getLastLr()
    }
  },

  program(hand) {
    const w = torch.ones([3], { requiresGrad: true })
    const fn = hand.pick([
      (x) => x.mul(2),
      (x, y) => ({ sum: x.add(y), list: [x, y] }),
      (x) => w.mul(x).sum().backward() ?? w.grad,
      async (x) => x,
      (x) => x.dispose(),
      (x) => hand.vary(x),
      () => undefined,
    ])
    const program = torch.program(hand.vary(fn), hand.vary({ recordings: 2, passes: {} }))
    const given = [hand.vary(hand.tensor([3])), hand.vary(hand.tensor([3]))]
    return async () => {
      for (let i = 0; i < 3; i++) await program(...given)
      program.stats()
      program.dispose()
    }
  },

  scope(hand) {
    const run = hand.pick([
      torch.scope,
      torch.scopeAsync,
      torch.noGrad,
      torch.inferenceMode,
      torch.enableGrad,
    ])
    const inside = hand.pick([
      () => hand.vary([hand.tensor(), { x: hand.tensor() }]),
      () => torch.keep(hand.vary(hand.tensor())),
      () => torch.scope(() => hand.tensor()),
      async () => hand.tensor(),
    ])
    return () => run(hand.vary(inside), ...hand.spread([{ name: 'step' }]))
  },

  autograd(hand) {
    const x = hand.vary(torch.randn([3], { requiresGrad: true }))
    const square = hand.vary((value) => value.square())
    const { functional } = torch.autograd
    return hand.pick([
      () => torch.grad(torch.square(x).sum(), hand.vary([x]), hand.vary({ retainGraph: true })),
      () => torch.checkpoint(square, x).sum().backward(),
      () => functional.jacobian(square, x),
      () => functional.vjp(square, x, hand.vary(hand.tensor([3]))),
      () => torch.autograd.gradcheck(square, hand.vary([x]), hand.vary({ eps: 1e-3 })),
      () => torch.autograd.backward(hand.vary([torch.square(x).sum()])),
      () => torch.square(x).backward(hand.vary({ gradient: hand.tensor([3]), retainGraph: true })),
      () => x.registerHook(hand.vary((gradient) => gradient.mul(2))) && x.square().sum().backward(),
    ])
  },

  generator(hand) {
    const generator = new torch.Generator(...hand.spread(['cpu', 7]))
    const next = hand.pick([
      () => generator.manualSeed(hand.vary(3)),
      async () => generator.setState(hand.vary(await generator.getState())),
      () => torch.randn([2], { generator: hand.vary(generator) }),
    ])
    return async () => {
      await next()
      generator.dispose()
    }
  },

  files(hand) {
    const path = hand.vary('fuzz.safetensors')
    const tensors = hand.vary({ a: hand.tensor(), b: { c: [hand.tensor(), 1, 'text'] } })
    return hand.pick([
      async () => {
        await torch.save(path, tensors, hand.vary({ metadata: { a: 'b' } }))
        return torch.load(path)
      },
      async () => {
        await torch.savePickle(path, tensors)
        return torch.loadPickle(path)
      },
    ])
  },

  processGroup(hand) {
    const { initProcessGroup, allReduce, getRank, broadcast, barrier } = torch.distributed
    // Nobody answers there, and nobody is waited for.
    const options = { initMethod: 'tcp://127.0.0.1:1', rank: 1, worldSize: 2 }
    return hand.pick([
      () => initProcessGroup(hand.vary('gloo'), { ...hand.vary(options), timeout: 0.05 }),
      () =>
        torch.distributed.findRendezvous(
          hand.vary(options),
          hand.vary({ RANK: '0', WORLD_SIZE: '1' }),
        ),
      () => allReduce(hand.vary(hand.tensor())),
      () => broadcast(hand.vary(hand.tensor()), hand.vary(0)),
      () => barrier(),
      () => getRank(),
    ])
  },

  method(hand) {
    const names = Object.getOwnPropertyNames(torch.Tensor.prototype).filter((name) =>
      /^[a-z]/.test(name),
    )
    const name = hand.pick(
      names.filter((one) => !['constructor', 'release', 'markCleared'].includes(one)),
    )
    const self = hand.tensor()
    const args = hand.vary(
      hand.pick([[], [0], [1], [hand.tensor(self.shape)], [[2, 2]], [0, 1], [0.5]]),
    )
    return () => (typeof self[name] === 'function' ? self[name](...args) : self[name])
  },

  async detector(hand) {
    const { Detector, readCheckpoint, loadConfig, findInputs, readPredictions } = package_
    const { NoiseSchedule, UNet } = package_
    return hand.pick([
      () => Detector.load(hand.vary('nothing'), hand.vary({ device: 'cpu' })),
      () => readCheckpoint(hand.vary('nothing')),
      () => loadConfig(hand.vary({ preset: 'tiny' })),
      () => findInputs(hand.vary(['nothing'])),
      () => readPredictions(hand.vary('nothing.json')),
      () => package_.train(hand.vary({ config: { preset: 'nothing' }, output: 'out' })),
      () => new NoiseSchedule(hand.vary({ steps: 10, betaStart: 1e-4, betaEnd: 0.02 })),
      () => new UNet(hand.vary({ landmarks: 2, encoderChannels: [8], decoderChannels: [8] })),
      () => package_.decodeImage(hand.vary(Buffer.from('no image'))),
    ])
  },
}

/** `name` and `run()` of a use. What it makes before is part of the run. */
export function chooseUse(random, tensors) {
  const name = random.pick(Object.keys(uses))
  const hand = new Hand(random, tensors)
  return { name, args: [], run: async () => (await uses[name](hand))() }
}
