// The workloads' kinds on our side: forward pass, reverse chain, training step, epoch; op by op or as recorded programs.
import * as torch from 'landmark-diffusion/torch'
import { ImageCache } from '#lib/data/cache.js'
import { ResidentImages } from '#lib/data/resident.js'
import { createModel, createObjective, createSampler, withPrecision } from '#lib/training/parts.js'
import { Peers } from '#lib/training/peers.js'
import { Readings } from '#lib/training/readings.js'
import { Session } from '#lib/training/session.js'
import { runAhead } from '#lib/training/trainer.js'

const kinds = { forward, chain, step, epoch }

/**
 * { run, result, renew }: `run` repeats it once and resolves when its values are there; `result` gives those of the
 * last run, as lists of tensors by name; after `renew` the next run records a new program, where there is one. Of a
 * step, `runTrain(n)` repeats it n times with its losses read as `train` reads them, several together: resolves with how many.
 */
export async function repeatable({ kind, config }, tensors, how) {
  const weights = {}
  const inputs = {}
  for (const [name, tensor] of Object.entries(tensors)) {
    if (name.startsWith('weights.')) weights[name.slice('weights.'.length)] = tensor
    else inputs[name] = tensor
  }
  const made = await kinds[kind](config, { weights, inputs }, how)
  for (const tensor of Object.values(weights)) tensor.dispose()
  return made
}

const inPrecisionOf = ({ train }, fn) => withPrecision(train.precision, 'cpu', fn)

function network(config, weights) {
  const model = createModel(config)
  model.loadStateDict(weights)
  return model
}

/** A function as it is, or as a program that can be made anew. */
function callable(fn, how) {
  if (how === 'eager') return { run: fn }
  const options = { ahead: 24 }
  let program = torch.program(fn, options)
  return {
    run: (...args) => program(...args),
    renew() {
      program.dispose()
      program = torch.program(fn, options)
    },
  }
}

function forward(config, { weights, inputs: { x, t } }, how) {
  const model = network(config, weights).eval()
  const once = (x, t) => torch.noGrad(() => inPrecisionOf(config, () => model.forward(x, t)))
  const call = callable(once, how)
  let output = null
  return {
    renew: call.renew,
    async run() {
      const last = output
      output = await call.run(x, t)
      await torch.synchronize()
      last?.dispose()
    },
    result: () => ({ output: [output] }),
  }
}

async function chain(config, { weights, inputs: { image, noise } }, how) {
  const model = network(config, weights).eval()
  const sampler = createSampler(config)
  const noises = noise.unbind(0)
  const sample = (run) => sampler.sample(model, image, { noise: noises, run })
  const evaluate = (evaluation) => sampler.evaluate(model, evaluation)
  const call =
    how === 'program-of-chain'
      ? callable(await wholeChain(evaluate, sample), how)
      : callable(evaluate, how)
  const answer =
    how === 'program-of-chain'
      ? () => call.run(image, noises)
      : async () => (await sample(async (evaluation) => call.run(evaluation))).logits
  let logits = null
  return {
    renew: call.renew,
    async run() {
      const last = logits
      logits = await answer()
      await torch.synchronize()
      last?.dispose()
    },
    result: () => ({ logits: [logits] }),
  }
}

/** A chain that nobody watches or stops: all its evaluations in one function. */
async function wholeChain(evaluate, sample) {
  const tables = []
  const { logits } = await sample(async (evaluation) => {
    const { t, weights, taps } = evaluation
    tables.push([t, weights, taps].map((table) => torch.keep(table.clone())))
    return evaluate(evaluation)
  })
  logits.dispose()
  return (image, [start, ...noises]) =>
    torch.noGrad(() => {
      let state = start
      let x0 = null
      for (const [i, [t, weights, taps]] of tables.entries()) {
        const noise = noises[i] ?? null
        ;({ x0, next: state } = evaluate({ state, image, t, weights, taps, noise }))
      }
      return x0
    })
}

function step(config, { weights, inputs }, how) {
  const { t, noise, ...example } = inputs
  const model = network(config, weights)
  const objective = createObjective(config)
  const { lr, weightDecay } = config.train
  const optimizer = new torch.optim.AdamW(model.namedParameters(), { lr, weightDecay })
  const once = (example, t, noise) =>
    torch.scope(() => {
      const { loss } = inPrecisionOf(config, () => objective.loss(model, example, { t, noise }))
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    })
  const call = callable(once, how)
  const readings = new Readings(null)
  let last = null
  return {
    renew: call.renew,
    async run() {
      const loss = await call.run(example, t, noise)
      await loss.item()
      last?.dispose()
      last = loss
    },
    async runTrain(count) {
      const waiting = []
      readings.pause()
      for (let i = 0; i < count; i++) {
        waiting.push(readings.add(await call.run(example, t, noise)))
        while (waiting.length >= runAhead + readings.together) await waiting.shift()
      }
      readings.flush()
      await Promise.all(waiting)
      return readings.together
    },
    result: () => ({ loss: [last], ...stateOf(model, optimizer.stateDict()) }),
  }
}

/** The weights, and AdamW's first moments: after one step a tenth of the gradients. In the order of the names. */
function stateOf(model, statistics) {
  const parameters = Object.fromEntries(model.namedParameters())
  const names = Object.keys(parameters).sort()
  return {
    weights: names.map((name) => parameters[name].detach()),
    moments: names.map((name) => statistics[`${name}.exp_avg`]),
  }
}

/** As `train` does it: its own loader, augmentation, draws, step and average; losses are read as there. */
async function epoch(config, { weights, inputs: { images, points } }, how) {
  const [count, height, width] = images.shape
  const cache = new ImageCache(await images.data(), { width, height })
  const samples = (await points.tolist()).map((points, i) => {
    return { id: String(i), file: '', width, height, pixelSize: null, points }
  })
  const peers = await Peers.join()
  const session = new Session(config, new ResidentImages(cache), samples, {
    peers,
    device: 'cpu',
    eager: how === 'eager',
    readEvery: null,
  })
  session.model.loadStateDict(weights)
  session.model.train()
  let mean = null
  return {
    async run() {
      const waiting = []
      let sum = 0
      for (let i = 0; i < count; i++) {
        const { queued, outcome } = session.advance()
        waiting.push(outcome)
        await queued
        while (waiting.length >= runAhead + session.readTogether)
          sum += (await waiting.shift()).figures.loss
      }
      session.flush()
      for (const outcome of waiting) sum += (await outcome).figures.loss
      mean?.dispose()
      mean = torch.tensor([sum / count])
    },
    result: () => ({ loss: [mean] }),
  }
}
