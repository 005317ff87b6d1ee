/**
 * Everything that changes while a model is trained: weights, averages, optimiser, data position. `advance`
 * queues one batch; `capture` and `restore` make a run continue as if it had never stopped. What is random
 * about a batch depends on the seed and the batch's number alone, so there are no random states to keep, and it
 * is the same whichever process computes the batch.
 */

import { Augmentation, type Drawn } from '../data/augmentation.js'
import type { ImageCache } from '../data/cache.js'
import type { Sample } from '../data/isbi2015.js'
import { type Batch, Loader, type LoaderPosition } from '../data/loader.js'
import { Random } from '../data/random.js'
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
import type { Peers } from './peers.js'
import { accumulation, learningRate, totalSteps } from './schedule.js'

type Tensor = torch.Tensor

/** What one batch came to, or one of each rank on average. */
export interface StepFigures {
  loss: number
  nll: number
  mse: number
}

/** Why a run is to stop before its end. All ranks must do so after the same batch. */
export type StopReason = 'aborted' | 'time'

/** Figures, and the stop that some rank wished for when it queued the batch. */
export interface StepOutcome {
  figures: StepFigures
  stop: StopReason | null
}

/** Where the run stands, apart from its tensors. */
export interface Progress {
  /** Batches done. */
  step: number
  loader: LoaderPosition
  emaUpdates: number
}

/** A whole state that training can continue from. */
export interface Captured {
  progress: Progress
  /** Live handles of `model.*`, `ema.*`, `optim.*`. */
  tensors: Record<string, Tensor>
}

/** What one step takes from outside. */
interface StepInput {
  /** uint8 [B, 1, H, W] */
  images: Tensor
  augmentation: Omit<Drawn, 'points'> | null
  /** As in `Batch` of the heatmaps. */
  target: Tensor
  mask: Tensor
  /** Batches of the accumulation. */
  window: number
  /** At its end: the learning rate and the averages' share, 0-dim. */
  update: { lr: Tensor; share: Tensor | null } | null
}

export interface SessionOptions {
  /**
   * Runs each step op by op from JavaScript instead of as a recorded program. Results are the same. Several
   * ranks always do: what they exchange is no operator.
   */
  eager?: boolean | undefined
}

/** Steps differ in how the augmentation fills the outside, in the last batch's size and in the place in an accumulation. */
const recordings = 24

export class Session implements Disposable {
  readonly model: UNet
  readonly ema: Ema | null
  readonly total: number
  readonly #config: Config
  readonly #device: string
  readonly #peers: Peers
  readonly #reducer: torch.distributed.Reducer | null
  readonly #loader: Loader
  readonly #optimizer: AdamW
  readonly #objective: ReturnType<typeof createObjective>
  readonly #generator: torch.Generator
  readonly #augmentation: Augmentation | null
  readonly #learningRate: LearningRate
  readonly #program: torch.Program<[StepInput], Tensor> | null
  #step = 0
  /** Batches whose gradients wait for an update. */
  #accumulated = 0
  /** Where the last update was, when batches have come after it. */
  #mark: Progress | null = null

  /** Seeds torch's default generators, which give the first weights and the dropout. */
  constructor(
    config: Config,
    cache: ImageCache,
    samples: readonly Sample[],
    { peers, device, eager = false }: { peers: Peers; device: string } & SessionOptions,
  ) {
    const { train, data, augmentation } = config
    this.#config = config
    this.#peers = peers
    torch.manualSeed(train.seed)
    this.#device = device
    // Drawn on the CPU, so that a seed gives the same weights on every device.
    this.model = createModel(config).to(device)
    this.#reducer = peers.reducer(this.model.parameters())
    this.ema = train.ema ? new Ema(this.model, train.ema) : null
    const { lr, betas, eps, weightDecay } = train
    this.#optimizer = new AdamW(this.model.namedParameters(), { lr, betas, eps, weightDecay })
    this.#objective = createObjective(config, device)
    this.#generator = new torch.Generator(device)
    this.#augmentation = augmentation
      ? new Augmentation(augmentation, { width: data.width, height: data.height }, device)
      : null
    this.#loader = new Loader(cache, samples, {
      batchSize: train.batchSize,
      seed: train.seed,
      landmarks: landmarkSet(config).landmarks.length,
    })
    this.total = totalSteps(train, samples.length)
    this.#learningRate = learningRate(train, this.total)
    const run = (input: StepInput) => this.#run(input)
    this.#program = eager || !peers.isAlone ? null : torch.program(run, { recordings })
  }

  /** Batches done, those of all ranks. */
  get step(): number {
    return this.#step
  }

  /** Passes over the training images begun so far, from 0. */
  get epoch(): number {
    return this.#loader.position.epoch
  }

  /** How steps were run; null where all run op by op. */
  get programs(): torch.ProgramCalls | null {
    return this.#program?.calls ?? null
  }

  /** The learning rate of the next batch; with several ranks of the last of theirs. */
  get lr(): number {
    return this.#learningRate(this.#step + this.#peers.size - 1)
  }

  /**
   * Queues one batch, of as many as there are ranks: augmentation, loss, backward and, at the end of an
   * accumulation, clipping, AdamW and the moving average. Returns at once; the promise tells what it came to.
   */
  advance(stop: StopReason | null = null): Promise<StepOutcome> {
    const { rank, size } = this.#peers
    const first = this.#loader.position
    this.#loader.skip(rank)
    const batch = this.#loader.next()
    this.#loader.skip(size - 1 - rank)
    const window = accumulation(this.#config.train.accumulate, first.epoch)
    if (window > 1 && this.#accumulated === 0) this.#mark = this.#here(first)
    const isUpdate = this.#accumulated + 1 >= window
    const random = this.#seed(this.#step + rank)
    const input = torch.scope(() => this.#input(batch, random, window, isUpdate))
    const outcome = this.#peers.isAlone
      ? readOutcome(this.#program ? this.#program(input) : this.#run(input), stop)
      : this.#runTogether(input, stop)
    for (const tensor of tensorsOf(input)) tensor.dispose()
    if (isUpdate) this.#mark = null
    this.#accumulated = isUpdate ? 0 : this.#accumulated + 1
    this.#step += size
    return outcome
  }

  /** Seeds the noise and the dropout of a batch; returns what draws its augmentation. */
  #seed(batch: number): Random {
    const random = new Random(this.#config.train.seed, batch)
    this.#generator.manualSeed(random.bits())
    torch.manualSeed(random.bits())
    return random
  }

  /** Pixels, and all that JavaScript draws or counts. */
  #input(batch: Batch, random: Random, window: number, isUpdate: boolean): StepInput {
    const { data } = this.#config
    const device = this.#device
    const size = batch.ids.length
    const shape = [size, 1, data.height, data.width]
    const images = torch.tensor(batch.images, { shape, dtype: 'uint8', device })
    const drawn = this.#augmentation?.draw(batch.points, size, random) ?? null
    const scalar = (value: number, dtype: 'float32' | 'float64') =>
      torch.tensor(value, { dtype, device })
    const update = () => ({
      lr: scalar(this.lr, 'float64'),
      share: this.ema && scalar(this.ema.advance(), 'float32'),
    })
    return {
      images,
      augmentation: drawn && { padding: drawn.padding, tensors: drawn.tensors },
      ...targetTensors(drawn?.points ?? batch.points, size, data, device),
      window,
      update: isUpdate ? update() : null,
    }
  }

  /** One step: its losses [3]. Nothing but operations on tensors, so that it can be a program. */
  #run(input: StepInput): Tensor {
    return torch.scope(() => {
      const losses = this.#losses(input)
      const values = lossTensor(losses)
      backward(losses.loss, input.window)
      if (input.update) this.#update(input.update)
      return values
    })
  }

  /** The same among other ranks: figures and wishes are exchanged, and gradients during the backward pass. */
  #runTogether(input: StepInput, stop: StopReason | null): Promise<StepOutcome> {
    let outcome: Promise<StepOutcome> | undefined
    torch.scope(() => {
      const losses = this.#losses(input)
      const values = torch.cat([lossTensor(losses), votes(stop).to(this.#device)])
      const averaged = this.#peers.average(values)
      if (input.update) this.#reducer?.prepare()
      backward(losses.loss, input.window)
      const exchanged = input.update ? this.#reducer?.finish() : undefined
      averaged()
      const read = values.data()
      if (input.update) this.#update(input.update)
      outcome = Promise.all([read, exchanged]).then(([n]) => outcomeOf(n as Float32Array))
    })
    return outcome as unknown as Promise<StepOutcome>
  }

  #losses({ images, augmentation, target, mask }: StepInput): Record<keyof StepFigures, Tensor> {
    const { data, train, diffusion } = this.#config
    const raw = images.to('float32')
    const greys = augmentation
      ? (this.#augmentation as Augmentation).change(raw, augmentation)
      : raw
    const example = { image: imageToNetwork(greys, data.imageRange), target, mask }
    const size = images.shape[0] as number
    const t = drawTimesteps(train.timestepSampling, size, diffusion.timesteps, this.#generator)
    return withPrecision(train.precision, this.#device, () =>
      this.#objective.loss(this.model, example, { ...t, generator: this.#generator }),
    )
  }

  #update({ lr, share }: NonNullable<StepInput['update']>): void {
    const { clipNorm } = this.#config.train
    if (clipNorm !== null) clipGradNorm_(this.model.parameters(), clipNorm)
    this.#optimizer.step({ lr })
    this.#optimizer.zeroGrad()
    if (share) this.ema?.update(share)
  }

  /**
   * The state to be saved. Within an accumulation it is that of the last update: gradients are not
   * saved, their few batches are done again.
   */
  capture(): Captured {
    return { progress: this.#mark ?? this.#here(this.#loader.position), tensors: this.#live() }
  }

  /** Takes the tensors of a captured state. @throws ERR_CHECKPOINT when they do not fit this configuration. */
  load(tensors: Readonly<Record<string, Tensor>>): void {
    const part = (prefix: string) => withoutPrefix(tensors, prefix)
    this.model.loadStateDict(part('model.'))
    this.ema?.loadStateDict(part('ema.'))
    this.#optimizer.loadStateDict(part('optim.'))
  }

  /** Goes on from where a captured state was. */
  seek({ step, loader, emaUpdates }: Progress): void {
    if (this.ema) this.ema.updates = emaUpdates
    this.#loader.restore(loader)
    this.#step = step
    this.#accumulated = 0
    this.#mark = null
  }

  /** Gives all ranks the tensors of the first. */
  async agree(): Promise<void> {
    await this.#peers.copyFromFirst(Object.values(this.#live()))
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

  #here({ epoch, index }: { epoch: number; index: number }): Progress {
    const { seed } = this.#loader.position
    const loader = { seed, epoch, index }
    return { step: this.#step, loader, emaUpdates: this.ema?.updates ?? 0 }
  }

  #live(): Record<string, Tensor> {
    return {
      ...withPrefix('model.', this.model.stateDict()),
      ...withPrefix('ema.', this.ema?.stateDict() ?? {}),
      ...withPrefix('optim.', this.#optimizer.stateDict()),
    }
  }

  [Symbol.dispose](): void {
    this.#program?.dispose()
    this.#reducer?.dispose()
    this.#augmentation?.[Symbol.dispose]()
    this.#objective.dispose()
    this.#generator.dispose()
    this.#optimizer.dispose()
    this.ema?.dispose()
    this.model.dispose()
  }
}

function tensorsOf(value: unknown): Tensor[] {
  if (value instanceof torch.Tensor) return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(tensorsOf) : []
}

/** [3], without history. */
function lossTensor({ loss, nll, mse }: Record<keyof StepFigures, Tensor>): Tensor {
  return torch.stack([loss, nll, mse].map((scalar) => scalar.detach()))
}

function backward(loss: Tensor, window: number): void {
  ;(window > 1 ? loss.div(window) : loss).backward()
}

/** [2]: a vote for each reason to stop. */
function votes(stop: StopReason | null): Tensor {
  return torch.tensor([Number(stop === 'aborted'), Number(stop === 'time')], { dtype: 'float32' })
}

async function readOutcome(
  result: Tensor | Promise<Tensor>,
  stop: StopReason | null,
): Promise<StepOutcome> {
  const losses = await result
  const values = losses.data()
  losses.dispose()
  const [loss = 0, nll = 0, mse = 0] = (await values) as Float32Array
  return { figures: { loss, nll, mse }, stop }
}

function outcomeOf([loss = 0, nll = 0, mse = 0, aborted = 0, time = 0]: Float32Array): StepOutcome {
  const stop = aborted > 0 ? 'aborted' : time > 0 ? 'time' : null
  return { figures: { loss, nll, mse }, stop }
}

/** points: [B * N * 2] in network pixels, NaN where missing -> target pixels int64 [B, N] and mask float [B, N]. */
function targetTensors(
  points: Float64Array,
  batch: number,
  { width, height, rounding }: Config['data'],
  device: string,
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
      { shape, dtype: 'int64', device },
    ),
    mask: torch.tensor(
      Float32Array.from(index, (pixel) => (pixel < 0 ? 0 : 1)),
      { shape, device },
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
  const draw = () => torch.rand([batch], { generator, device: generator.device })
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
