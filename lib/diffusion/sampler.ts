/**
 * The reverse process: from noise to heatmaps in T network evaluations, a few, or one
 * ("Salt & Pepper Heatmaps", section 3; Ho et al. 2020, algorithm 2; DDIM, arXiv 2010.02502).
 */
import { LandmarkDiffusionError } from '../errors.js'
import type { Generator, Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { type BlurOptions, BlurSchedule } from './blur.js'
import type { NoiseSchedule, Transition } from './noise-schedule.js'
import type { Denoiser } from './objective.js'

export interface SamplerOptions {
  /** Network evaluations of one chain, 1 .. T; default T. One step is x0(x_T), the paper's "single-step". */
  steps?: number
  /** What the network predicts; default 'x0'. */
  prediction?: 'x0' | 'epsilon'
  /** Ancestral sampling (default), or DDIM with its eta 0 .. 1. */
  method?: { kind: 'ancestral' } | { kind: 'ddim'; eta: number }
  /** Variance of the ancestral step; default 'beta-tilde'. */
  posteriorVariance?: 'beta-tilde' | 'beta'
  blur?: BlurOptions
  /** x_T ~ N(0, I) ('normal', as in the paper), or with the mean and spread that an all-background x0 has at T. */
  prior?: 'normal' | 'background-mean'
  /** Answer with the last estimate ('none', default), or with the mean of the softmax maps of all steps ('chain'). */
  average?: 'none' | 'chain'
  /** Independent chains whose softmax maps are averaged; default 1. */
  chains?: number
}

export interface SampleStep {
  /** 1 .. steps. */
  step: number
  steps: number
  /** 0 .. chains - 1. */
  chain: number
  /** Time of this evaluation, T - 1 .. 0. */
  t: number
  /** [B, N, H, W] estimate of the clean heatmaps, unclamped; freed when the callback has returned. */
  x0: Tensor
}

/** What one evaluation of a chain takes: tensors alone, so that it can be a program. */
export interface Evaluation {
  /** x_t and the image: [B, N, H, W], [B, C, H, W]. */
  state: Tensor
  image: Tensor
  /** int64 [B] */
  t: Tensor
  /** float32 [5]: weights of x0, x_t and noise in x_s; of x0 and noise in x_t. */
  weights: Tensor
  /** float32 [kernelSize]: the blur's kernel. */
  taps: Tensor
  /** [B, N, H, W]; null for the last evaluation, after which nothing follows. */
  noise: Tensor | null
}

/** The estimate of x0 and, but for the last evaluation, the next state: [B, N, H, W] each. */
export interface Evaluated {
  x0: Tensor
  next: Tensor | null
}

export interface SampleOptions {
  /**
   * Runs each evaluation instead of `evaluate(model, ...)`: as a recorded program of the same, whose `ahead` bounds the
   * queue where nobody watches the chain.
   */
  run?: (evaluation: Evaluation) => Promise<Evaluated>
  /** Source of the noise; the default generator when absent. */
  generator?: Generator
  /** Noise to use instead of drawing it, [B, N, H, W] each: the start's, then one for each further step; a list, or a function of that place, called once a place and chain. */
  noise?: readonly Tensor[] | ((index: number) => Tensor)
  /** Start at time `t0` from noised heatmaps `x0` [B, N, H, W] in [-1, 1] (an informed prior) instead of at T from noise. */
  start?: { t0: number; x0: Tensor }
  /** Cancels between network evaluations with ERR_ABORTED. */
  signal?: AbortSignal
  onStep?: (step: SampleStep) => void | Promise<void>
}

export interface SampleResult {
  /**
   * [B, N, H, W]; the softmax over a channel's pixels is the answer. The network's last estimate,
   * unclamped and unblurred; with averaging, the logarithm of the mean softmax.
   */
  logits: Tensor
  /** The same for every chain alone; `[logits]` when there is one. */
  chains: Tensor[]
}

/**
 * for t = T-1 .. : x0 = f(x_t, y, t);  x_s = a(t, s) tame(x0) + b(t, s) x_t + c(t, s) noise
 *
 * tame: blur and clamp (`BlurSchedule`); a, b, c: the posterior or DDIM (`NoiseSchedule`). Put the
 * model in eval mode first. Every tensor but the results is freed. At most two evaluations are queued ahead of the
 * device; of a chain by `run` that nobody watches (`onStep`) or could cancel (`signal`) all that `run` takes.
 */
export class Sampler {
  readonly schedule: NoiseSchedule
  readonly blur: BlurSchedule
  readonly options: Required<Omit<SamplerOptions, 'blur'>>

  constructor(schedule: NoiseSchedule, { blur, ...options }: SamplerOptions = {}) {
    this.schedule = schedule
    this.blur = new BlurSchedule(schedule.timesteps, blur)
    this.options = {
      steps: schedule.timesteps,
      prediction: 'x0',
      method: { kind: 'ancestral' },
      posteriorVariance: 'beta-tilde',
      prior: 'normal',
      average: 'none',
      chains: 1,
      ...options,
    }
  }

  /** image: [B, C, H, W] -> heatmaps of every landmark. */
  async sample(model: Denoiser, image: Tensor, options: SampleOptions = {}): Promise<SampleResult> {
    return torch.noGrad(() =>
      torch.scopeAsync(async () => {
        const chains: Tensor[] = []
        for (let chain = 0; chain < this.options.chains; chain++) {
          chains.push(await this.#chain(model, image, chain, options))
        }
        const [first] = chains
        if (chains.length === 1 && first) return { logits: first, chains }
        return { logits: meanOfSoftmax(chains), chains }
      }),
    )
  }

  /** The times of the chain's evaluations, downwards. */
  timesteps(start?: SampleOptions['start']): number[] {
    const from = start ? start.t0 : this.schedule.timesteps - 1
    return this.schedule.timestepsOf(Math.min(this.options.steps, from + 1), { from })
  }

  async #chain(
    model: Denoiser,
    image: Tensor,
    chain: number,
    options: SampleOptions,
  ): Promise<Tensor> {
    const { run, signal, onStep, start } = options
    const inOneGo = run && !signal && !onStep
    const times = this.timesteps(start)
    const noise = noiseSource(model, image, options)
    const average = this.options.average === 'chain' ? new SoftmaxMean() : null
    let state = torch.scope(() => this.#start(noise(0), start))
    let estimate: Tensor | null = null
    let fence: Promise<void> = Promise.resolve()
    for (const [i, t] of times.entries()) {
      if (signal?.aborted) throw aborted(i, times.length, signal)
      const s = times[i + 1]
      const drawn = s === undefined ? null : torch.scope(() => noise(i + 1))
      const given = torch.scope(() => this.#tables(state, t, s))
      const evaluation = { state, image, noise: drawn, ...given }
      const evaluated = await (run?.(evaluation) ?? this.evaluate(model, evaluation))
      for (const tensor of Object.values(given)) tensor.dispose()
      // Noise that was given stays its owner's.
      if (drawn && !options.noise) drawn.dispose()
      estimate?.dispose()
      estimate = evaluated.x0
      average?.add(estimate)
      if (evaluated.next) {
        state.dispose()
        state = evaluated.next
      }
      if (onStep) await onStep({ step: i + 1, steps: times.length, chain, t, x0: estimate })
      if (inOneGo && s !== undefined) continue
      // One step of run-ahead: the device never waits for JavaScript, and the queue stays short.
      const queued = torch.synchronize()
      // A failure is met when the fence is awaited; an abort in between must not leave it unhandled.
      queued.catch(() => {})
      await fence
      fence = queued
    }
    await fence
    state.dispose()
    if (!average) return estimate as Tensor
    estimate?.dispose()
    return average.logarithm()
  }

  #start(noise: Tensor, start: SampleOptions['start']): Tensor {
    if (start) {
      const mix = this.schedule.mix(start.t0)
      return start.x0.mul(mix.signal).add(noise.mul(mix.noise))
    }
    if (this.options.prior === 'normal') return noise.clone()
    const mix = this.schedule.mix(this.schedule.timesteps - 1)
    return noise.mul(mix.noise).sub(mix.signal)
  }

  /** What depends on times alone, as tensors. */
  #tables(
    state: Tensor,
    t: number,
    s: number | undefined,
  ): Pick<Evaluation, 't' | 'weights' | 'taps'> {
    const { x0, xt, noise } = s === undefined ? { x0: 1, xt: 0, noise: 0 } : this.#transition(t, s)
    const mix = this.schedule.mix(t)
    const [batch = 0] = state.shape
    const { device } = state
    return {
      t: torch.tensor(new BigInt64Array(batch).fill(BigInt(t)), { device }),
      weights: torch.tensor(Float32Array.of(x0, xt, noise, mix.signal, mix.noise), { device }),
      taps: torch.tensor(this.blur.taps(t), { device }),
    }
  }

  /** One evaluation of the network, and the step to the next state. */
  evaluate(model: Denoiser, { state, image, t, weights, taps, noise }: Evaluation): Evaluated {
    return torch.scope(() => {
      const output = model.denoise(state, image, t).to('float32')
      const weight = (i: number) => weights.select(0, i)
      const x0 =
        this.options.prediction === 'x0' ? output : state.sub(output.mul(weight(4))).div(weight(3))
      if (!noise) return { x0, next: null }
      const next = this.blur.applyTaps(x0, taps).mul_(weight(0))
      next.addcmul_(state, weight(1)).addcmul_(noise, weight(2))
      return { x0, next }
    })
  }

  #transition(t: number, s: number): Transition {
    const { method, posteriorVariance } = this.options
    return method.kind === 'ddim'
      ? this.schedule.ddim(t, s, { eta: method.eta })
      : this.schedule.posterior(t, s, { variance: posteriorVariance })
  }
}

/** Noise by position in the chain: as given, or drawn. */
function noiseSource(
  model: Denoiser,
  image: Tensor,
  { noise, generator }: SampleOptions,
): (index: number) => Tensor {
  const [batch = 0, , height = 0, width = 0] = image.shape
  const options = { device: image.device, ...(generator ? { generator } : {}) }
  if (typeof noise === 'function') return noise
  return (index) => {
    if (!noise) return torch.randn([batch, model.landmarks, height, width], options)
    const given = noise[index]
    if (!given) {
      throw new RangeError(`The chain needs noise number ${index + 1}; ${noise.length} were given.`)
    }
    return given
  }
}

/** The running sum of softmax maps, one tensor however long the chain is. */
class SoftmaxMean {
  #sum: Tensor | null = null
  #count = 0

  add(logits: Tensor): void {
    const previous = this.#sum
    this.#sum = torch.scope(() => {
      const map = logits.flatten(2).softmax(2).reshape(logits.shape)
      return previous ? map.add_(previous) : map
    })
    previous?.dispose()
    this.#count += 1
  }

  /** log of the mean, floored at the smallest normal float32 so that it stays finite. */
  logarithm(): Tensor {
    const sum = this.#sum as Tensor
    const result = torch.scope(() =>
      sum
        .div(this.#count)
        .clamp(2 ** -126)
        .log(),
    )
    sum.dispose()
    return result
  }
}

function meanOfSoftmax(maps: readonly Tensor[]): Tensor {
  const mean = new SoftmaxMean()
  for (const map of maps) mean.add(map)
  return mean.logarithm()
}

function aborted(done: number, steps: number, signal: AbortSignal): LandmarkDiffusionError {
  return new LandmarkDiffusionError(
    'ERR_ABORTED',
    `Sampling was cancelled after ${done} of ${steps} network evaluations.`,
    { cause: signal.reason },
  )
}
