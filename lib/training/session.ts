/** Everything that changes while a model is trained: weights, averages, optimiser, random states, data position. One `step` queues one batch; `capture` and `restore` make a run continue as if it had never stopped. */

import { Augmentation } from '../data/augmentation.js'
import type { ImageCache } from '../data/cache.js'
import type { Sample } from '../data/isbi2015.js'
import { type Batch, Loader, type LoaderPosition } from '../data/loader.js'
import { Random } from '../data/random.js'
import { LandmarkDiffusionError } from '../errors.js'
import type { Point } from '../landmarks/geometry.js'
import { encodeTargets } from '../landmarks/heatmap.js'
import type { UNet } from '../model/index.js'
import { AdamW, clipGradNorm_, Ema, type LearningRate } from '../optim/index.js'
import * as torch from '../torch/index.js'
import { withoutPrefix } from './checkpoint.js'
import type { Config } from './config-schema.js'
import {
  createModel,
  createObjective,
  imageToNetwork,
  landmarkSet,
  withPrecision,
} from './parts.js'
import { accumulation, learningRate, totalSteps } from './schedule.js'

type Tensor = torch.Tensor

/** What one batch came to. */
export interface StepFigures {
  loss: number
  nll: number
  mse: number
}

/** Where the run stands, apart from its tensors. */
export interface Progress {
  /** Batches done. */
  step: number
  loader: LoaderPosition
  /** State of the augmentation's generator. */
  augmentation: number[]
  emaUpdates: number
}

/** A whole state that training can continue from. */
export interface Captured {
  progress: Progress
  /** Live handles of `model.*`, `ema.*`, `optim.*`, and the random states `rng.*` (uint8), which the caller frees. */
  tensors: Record<string, Tensor>
}

/** Progress and random states at the end of an update, awaited only when they are saved. */
interface Mark {
  progress: Progress
  generator: Promise<Uint8Array>
  defaultGenerator: Promise<Uint8Array>
}

export class Session implements Disposable {
  readonly model: UNet
  readonly ema: Ema | null
  readonly total: number
  readonly #config: Config
  readonly #loader: Loader
  readonly #optimizer: AdamW
  readonly #objective: ReturnType<typeof createObjective>
  readonly #generator: torch.Generator
  readonly #augmentation: Augmentation | null
  readonly #learningRate: LearningRate
  #random: Random
  #step = 0
  /** Batches whose gradients wait for an update. */
  #accumulated = 0
  /** The last update, when batches have come after it. */
  #mark: Mark | null = null

  /** Seeds torch's default generator, which gives the first weights and the dropout. */
  constructor(config: Config, cache: ImageCache, samples: readonly Sample[]) {
    const { train, data, augmentation } = config
    this.#config = config
    torch.manualSeed(train.seed)
    this.model = createModel(config)
    this.ema = train.ema ? new Ema(this.model, train.ema) : null
    this.#optimizer = new AdamW(this.model.namedParameters(), train)
    this.#objective = createObjective(config)
    // Not the seed of the default generator: the noise must not repeat the numbers of the weights.
    this.#generator = new torch.Generator('cpu', train.seed + 1)
    this.#random = new Random(train.seed, 2)
    this.#augmentation = augmentation
      ? new Augmentation(augmentation, { width: data.width, height: data.height })
      : null
    this.#loader = new Loader(cache, samples, {
      batchSize: train.batchSize,
      seed: train.seed,
      landmarks: landmarkSet(config).landmarks.length,
    })
    this.total = totalSteps(train, samples.length)
    this.#learningRate = learningRate(train, this.total)
  }

  /** Batches done. */
  get step(): number {
    return this.#step
  }

  /** Passes over the training images begun so far, from 0. */
  get epoch(): number {
    return this.#loader.position.epoch
  }

  /** The learning rate of the next step. */
  get lr(): number {
    return this.#learningRate(this.#step)
  }

  /**
   * Queues one batch: augmentation, loss, backward and, at the end of an accumulation, clipping,
   * AdamW and the moving average. Returns at once; the promise gives the losses.
   */
  advance(): Promise<StepFigures> {
    const { train } = this.#config
    const batch = this.#loader.next()
    const window = accumulation(train.accumulate, batch.epoch)
    if (window > 1 && this.#accumulated === 0) this.#mark = this.#takeMark(batch)
    const lr = this.lr
    let figures: Promise<StepFigures> | undefined
    torch.scope(() => {
      const { loss, nll, mse } = this.#forward(batch)
      figures = readFigures([loss, nll, mse])
      ;(window > 1 ? loss.div(window) : loss).backward()
      this.#accumulated += 1
      if (this.#accumulated >= window) this.#update(lr)
    })
    this.#step += 1
    return figures as unknown as Promise<StepFigures>
  }

  #forward(batch: Batch): { loss: Tensor; nll: Tensor; mse: Tensor } {
    const { data, train, diffusion } = this.#config
    const size = batch.ids.length
    const raw = torch
      .tensor(batch.images, { shape: [size, 1, data.height, data.width], dtype: 'uint8' })
      .to('float32')
    const { images, points } = this.#augmentation
      ? this.#augmentation.apply(raw, batch.points, this.#random)
      : { images: raw, points: batch.points }
    const { target, mask } = targetTensors(points, size, data)
    const example = { image: imageToNetwork(images, data.imageRange), target, mask }
    const t = drawTimesteps(train.timestepSampling, size, diffusion.timesteps, this.#generator)
    return withPrecision(train.precision, () =>
      this.#objective.loss(this.model, example, { ...t, generator: this.#generator }),
    )
  }

  #update(lr: number): void {
    const { clipNorm } = this.#config.train
    if (clipNorm !== null) clipGradNorm_(this.model.parameters(), clipNorm)
    this.#optimizer.lr = lr
    this.#optimizer.step()
    this.#optimizer.zeroGrad()
    this.ema?.update()
    this.#accumulated = 0
    this.#mark = null
  }

  /**
   * The state to be saved. Within an accumulation it is that of the last update: gradients are not
   * saved, their few batches are done again.
   */
  async capture(): Promise<Captured> {
    const mark = this.#mark ?? this.#takeMark(this.#loader.position)
    const [generator, defaultGenerator] = await Promise.all([mark.generator, mark.defaultGenerator])
    return {
      progress: mark.progress,
      tensors: {
        ...this.#live(),
        'rng.generator': torch.tensor(generator, { dtype: 'uint8' }),
        'rng.default': torch.tensor(defaultGenerator, { dtype: 'uint8' }),
      },
    }
  }

  /** Continues from a captured state. @throws ERR_CHECKPOINT when it does not fit this configuration. */
  async restore({ progress, tensors }: Captured): Promise<void> {
    const part = (prefix: string) => withoutPrefix(tensors, prefix)
    this.model.loadStateDict(part('model.'))
    this.ema?.loadStateDict(part('ema.'))
    this.#optimizer.loadStateDict(part('optim.'))
    if (this.ema) this.ema.updates = progress.emaUpdates
    const { generator, default: defaultGenerator } = part('rng.')
    if (!generator || !defaultGenerator) {
      throw new LandmarkDiffusionError('ERR_CHECKPOINT', 'the checkpoint has no random states')
    }
    this.#generator.setState((await generator.data()) as Uint8Array)
    torch.setRngState((await defaultGenerator.data()) as Uint8Array)
    this.#loader.restore(progress.loader)
    this.#random = Random.fromState(progress.augmentation)
    this.#step = progress.step
    this.#accumulated = 0
    this.#mark = null
  }

  /** Whether every weight is a finite number: a last look before a good checkpoint is replaced. */
  async isFinite(): Promise<boolean> {
    const sum = torch.scope(() =>
      torch.noGrad(() => {
        const norms = torch.call('aten::_foreach_norm.Scalar', [[...this.model.parameters()], 2])
        return torch.stack(norms as Tensor[]).sum()
      }),
    )
    const value = Number(await sum.item())
    sum.dispose()
    return Number.isFinite(value)
  }

  #takeMark(position: { epoch: number; index: number }): Mark {
    const { seed } = this.#loader.position
    return {
      progress: {
        step: this.#step,
        loader: { seed, epoch: position.epoch, index: position.index },
        augmentation: this.#random.state(),
        emaUpdates: this.ema?.updates ?? 0,
      },
      generator: this.#generator.getState(),
      defaultGenerator: torch.getRngState(),
    }
  }

  #live(): Record<string, Tensor> {
    return {
      ...withPrefix('model.', this.model.stateDict()),
      ...withPrefix('ema.', this.ema?.stateDict() ?? {}),
      ...withPrefix('optim.', this.#optimizer.stateDict()),
    }
  }

  [Symbol.dispose](): void {
    this.#augmentation?.[Symbol.dispose]()
    this.#objective.dispose()
    this.#generator.dispose()
    this.#optimizer.dispose()
    this.ema?.dispose()
    this.model.dispose()
  }
}

async function readFigures(scalars: Tensor[]): Promise<StepFigures> {
  const [loss = 0, nll = 0, mse = 0] = (await torch
    .stack(scalars.map((scalar) => scalar.detach()))
    .data()) as Float32Array
  return { loss, nll, mse }
}

/** points: [B * N * 2] in network pixels, NaN where missing -> target pixels int64 [B, N] and mask float [B, N]. */
function targetTensors(
  points: Float64Array,
  batch: number,
  { width, height, rounding }: Config['data'],
): { target: Tensor; mask: Tensor } {
  const list = Array.from({ length: points.length / 2 }, (_, i): Point | null => {
    const [x = Number.NaN, y = Number.NaN] = points.subarray(2 * i)
    return Number.isNaN(x) || Number.isNaN(y) ? null : [x, y]
  })
  const { index } = encodeTargets(list, width, height, rounding)
  const shape = [batch, list.length / batch]
  return {
    target: torch.tensor(
      BigInt64Array.from(index, (pixel) => BigInt(Math.max(0, pixel))),
      { shape, dtype: 'int64' },
    ),
    mask: torch.tensor(
      Float32Array.from(index, (pixel) => (pixel < 0 ? 0 : 1)),
      { shape },
    ),
  }
}

/** t: int64 [batch] in {0, ..., timesteps - 1}; nothing for uniform ones, which the objective draws. */
function drawTimesteps(
  sampling: Config['train']['timestepSampling'],
  batch: number,
  timesteps: number,
  generator: torch.Generator,
): { t?: Tensor } {
  const last = timesteps - 1
  const spread = (uniform: Tensor) => uniform.mul(timesteps).floor().clamp(0, last)
  const draw = () => torch.rand([batch], { generator })
  switch (sampling.kind) {
    case 'uniform':
      return {}
    case 'high':
      return { t: spread(draw().pow(1 / sampling.power)).to('int64') }
    case 'last': {
      const uniform = spread(draw())
      const latest = uniform.mul(0).add(last)
      return { t: torch.where(draw().lt(sampling.probability), latest, uniform).to('int64') }
    }
  }
}

function withPrefix(prefix: string, dict: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(dict).map(([name, value]) => [prefix + name, value]))
}
