/**
 * Everything that changes while a model is trained: weights, averages, optimiser, data position. `advance`
 * queues one batch; `capture` and `restore` make a run continue as if it had never stopped. What is random
 * about a batch depends on the seed and the batch's number alone, so there are no random states to keep, and it
 * is the same whichever process computes the batch.
 */

import { Augmentation } from '../data/augmentation.js'
import type { Sample } from '../data/isbi2015.js'
import { type Batch, Loader, type LoaderPosition } from '../data/loader.js'
import { Random } from '../data/random.js'
import type { ResidentImages } from '../data/resident.js'
import type { UNet } from '../model/index.js'
import { AdamW, clipGradNorm_, Ema, type LearningRate } from '../optim/index.js'
import * as torch from '../torch/index.js'
import { withoutPrefix } from './checkpoint.js'
import type { Config } from './config-schema.js'
import { GradientBuckets } from './gradient-buckets.js'
import {
  createModel,
  createObjective,
  imageToNetwork,
  landmarkSet,
  withPrecision,
} from './parts.js'
import type { Peers } from './peers.js'
import {
  lossTensor,
  Readings,
  type StepFigures,
  type StepOutcome,
  type StopReason,
  withVotes,
} from './readings.js'
import { accumulates, accumulation, learningRate, totalSteps } from './schedule.js'
import { type StepInput, targetTensors, tensorsOf, type Update } from './step-input.js'
import { drawTimesteps } from './timesteps.js'

type Tensor = torch.Tensor

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

interface PassResult {
  /** As of `lossTensor`. */
  losses: Tensor
  /** The gradients, where they are to be exchanged. */
  buckets: readonly Tensor[]
}

interface Queued {
  values: Tensor
  /** What else must go well for the batch to count. */
  exchanged: Promise<unknown> | null
}

/** How steps were run. */
export interface StepPrograms extends torch.ProgramCalls {
  /** Whether the last recording is a graph of the device, and if not why; null before there is one. */
  graph: string | null
}

/** A batch that is on its way. */
export interface Advance {
  /** Resolves when all of it is queued; no other may be begun before. */
  queued: Promise<void>
  /** Rejects with ERR_ABORTED where the batch was cancelled. */
  outcome: Promise<StepOutcome>
  /** What the session was before it. */
  before: Position
}

/** Where a session stands between two batches. */
interface Position {
  progress: Progress
  accumulated: number
  mark: Progress | null
}

export interface SessionOptions {
  /** Runs each step op by op from JavaScript instead of as recorded programs. Results are the same. */
  eager?: boolean | undefined
  /** Batches whose losses are read together, null for as many as take five seconds. Default 1. */
  readEvery?: number | null | undefined
}

/** Steps differ in how the augmentation fills the outside, in the last batch's size and in the place in an accumulation. */
const recordings = 24
/** More than the trainer ever has in the queue. */
const ahead = 24

export class Session implements Disposable {
  readonly model: UNet
  readonly ema: Ema | null
  readonly total: number
  readonly #config: Config
  readonly #device: string
  readonly #peers: Peers
  /** What averages gradients over the ranks while a pass runs op by op. */
  readonly #reducer: torch.distributed.Reducer | null
  /** Where gradients wait for other ranks or batches when a pass is a program. */
  readonly #buckets: GradientBuckets | null
  readonly #images: ResidentImages
  readonly #loader: Loader
  readonly #optimizer: AdamW
  readonly #objective: ReturnType<typeof createObjective>
  readonly #generator: torch.Generator
  readonly #augmentation: Augmentation | null
  readonly #learningRate: LearningRate
  readonly #readings: Readings
  /** A step; where gradients wait for others its first part, up to these. Gives the losses [3]. */
  readonly #pass: torch.Program<[StepInput], PassResult> | null
  /** The rest of such a step; the losses are an argument so that it is left out where its pass was. */
  readonly #updating: torch.Program<[Update, Tensor], null> | null
  #step = 0
  /** Batches whose gradients wait for an update. */
  #accumulated = 0
  /** Where the last update was, when batches have come after it. */
  #mark: Progress | null = null

  /**
   * Seeds torch's default generators, which give the first weights and the dropout.
   * images: those of the samples in the same order, on `device`; they become the session's
   */
  constructor(
    config: Config,
    images: ResidentImages,
    samples: readonly Sample[],
    options: { peers: Peers; device: string } & SessionOptions,
  ) {
    const { peers, device, eager = false, readEvery = 1 } = options
    const { train, data, augmentation } = config
    this.#config = config
    this.#peers = peers
    this.#images = images
    torch.manualSeed(train.seed)
    this.#device = device
    // Drawn on the CPU, so that a seed gives the same weights on every device.
    this.model = createModel(config).to(device)
    const together = !peers.isAlone
    this.#reducer = together && eager ? peers.reducer(this.model.parameters()) : null
    this.#buckets =
      !eager && (together || accumulates(train.accumulate))
        ? new GradientBuckets(this.model.parameters())
        : null
    this.ema = train.ema ? new Ema(this.model, train.ema) : null
    const { lr, betas, eps, weightDecay } = train
    this.#optimizer = new AdamW(this.model.namedParameters(), { lr, betas, eps, weightDecay })
    this.#objective = createObjective(config, device)
    this.#generator = new torch.Generator(device)
    this.#augmentation = augmentation
      ? new Augmentation(augmentation, { width: data.width, height: data.height }, device)
      : null
    this.#loader = new Loader(images, samples, {
      batchSize: train.batchSize,
      seed: train.seed,
      landmarks: landmarkSet(config).landmarks.length,
    })
    this.total = totalSteps(train, samples.length)
    this.#learningRate = learningRate(train, this.total)
    this.#readings = new Readings(readEvery)
    const pass = (input: StepInput) => this.#runPass(input)
    this.#pass = eager ? null : torch.program(pass, { recordings, ahead })
    const update = (given: Update, _losses: Tensor) => this.#update(given)
    this.#updating = this.#buckets && torch.program(update, { ahead })
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
  get programs(): StepPrograms | null {
    return this.#pass && { ...this.#pass.calls, graph: this.#pass.graph }
  }

  /** The learning rate of the next batch; with several ranks of the last of theirs. */
  get lr(): number {
    return this.#learningRate(this.#step + this.#peers.size - 1)
  }

  /**
   * Queues one batch, of as many as there are ranks: augmentation, loss, backward and, at the end of an
   * accumulation, clipping, AdamW and the moving average.
   */
  advance(stop: StopReason | null = null): Advance {
    const { rank, size } = this.#peers
    const first = this.#loader.position
    const before = {
      progress: this.#here(first),
      accumulated: this.#accumulated,
      mark: this.#mark,
    }
    this.#loader.skip(rank)
    const batch = this.#loader.next()
    this.#loader.skip(size - 1 - rank)
    const window = accumulation(this.#config.train.accumulate, first.epoch)
    if (window > 1 && this.#accumulated === 0) this.#mark = this.#here(first)
    const isUpdate = this.#accumulated + 1 >= window
    const random = this.#seed(this.#step + rank)
    const place = { window, add: this.#accumulated > 0, isUpdate }
    const input = torch.scope(() => this.#input(batch, random, place))
    if (isUpdate) this.#mark = null
    this.#accumulated = isUpdate ? 0 : this.#accumulated + 1
    this.#step += size
    const values = this.#queue(input, stop).finally(() => {
      for (const tensor of tensorsOf(input)) tensor.dispose()
    })
    const outcome = values.then(({ values, exchanged }) =>
      Promise.all([this.#readings.add(values), exchanged]).then(([outcome]) => outcome),
    )
    // Looked at later; a failure in between must not count as unhandled.
    outcome.catch(() => undefined)
    const settled = () => undefined
    // Of several processes the exchange is no part of it.
    const all = values.then(({ exchanged }) => (this.#peers.isAlone ? exchanged : null))
    return { queued: all.then(settled, settled), outcome, before }
  }

  /**
   * Leaves out the batches that are queued and have not begun, where that can be: of one process, as programs. All calls
   * of `advance` must be queued. The session then has to be taken back to where the first of them began.
   */
  cancel(): void {
    if (this.#peers.isAlone) this.#pass?.cancel()
  }

  /** To before the first batch that was cancelled. */
  takeBack({ progress, accumulated, mark }: Position): void {
    this.seek(progress)
    this.#accumulated = accumulated
    this.#mark = mark
  }

  /** How many batches may wait before one of them is read. */
  get readTogether(): number {
    return this.#readings.together
  }

  /** Has the outcomes of all batches read that are queued. */
  flush(): void {
    this.#readings.flush()
  }

  /** Time until now is no batch's. */
  pause(): void {
    this.#readings.pause()
  }

  /** Seeds the noise and the dropout of a batch; returns what draws its augmentation. */
  #seed(batch: number): Random {
    const random = new Random(this.#config.train.seed, batch)
    this.#generator.manualSeed(random.bits())
    torch.manualSeed(random.bits())
    return random
  }

  /** Pixels, and all that JavaScript draws or counts. */
  #input(
    batch: Batch,
    random: Random,
    { window, add, isUpdate }: { window: number; add: boolean; isUpdate: boolean },
  ): StepInput {
    const { data } = this.#config
    const device = this.#device
    const size = batch.ids.length
    const indices = torch.tensor(BigInt64Array.from(batch.indices, BigInt), { device })
    const drawn = this.#augmentation?.draw(batch.points, size, random) ?? null
    const scalar = (value: number, dtype: 'float32' | 'float64') =>
      torch.tensor(value, { dtype, device })
    const update = () => ({
      lr: scalar(this.lr, 'float64'),
      share: this.ema && scalar(this.ema.advance(), 'float32'),
    })
    return {
      indices,
      augmentation: drawn && { padding: drawn.padding, tensors: drawn.tensors },
      ...targetTensors(drawn?.points ?? batch.points, size, data, device),
      window,
      add,
      // On a GPU the pass is a graph, which no exchange can be part of.
      exchange: isUpdate && this.#buckets !== null && !this.#peers.isAlone && device === 'cpu',
      update: isUpdate ? update() : null,
    }
  }

  async #queue(input: StepInput, stop: StopReason | null): Promise<Queued> {
    if (this.#pass && this.#buckets) return this.#queueTwoPrograms(input, stop, this.#pass)
    if (this.#reducer) return this.#queueWithReducer(input, stop)
    const { losses } = this.#pass ? await this.#pass(input) : this.#runPass(input)
    return { values: losses, exchanged: null }
  }

  /**
   * Where there are other ranks, figures and wishes are exchanged after the pass; at the end of an accumulation the
   * gradients too, unless the pass has begun that.
   */
  async #queueTwoPrograms(
    input: StepInput,
    stop: StopReason | null,
    pass: torch.Program<[StepInput], PassResult>,
  ): Promise<Queued> {
    const { losses, buckets } = await pass({ ...input, update: null })
    // Where the pass failed, all of these carry its failure: nothing more is exchanged.
    const values = withVotes(losses, stop)
    const ends = [this.#peers.average(values)]
    for (const bucket of input.update ? buckets : [])
      ends.push(input.exchange ? this.#peers.averaged(bucket) : this.#peers.average(bucket))
    const exchanged: Promise<unknown>[] = ends.map((end) => end())
    if (input.update && this.#updating) exchanged.push(this.#updating(input.update, losses))
    for (const tensor of [losses, ...buckets]) tensor.dispose()
    return { values, exchanged: Promise.all(exchanged) }
  }

  /** The same op by op: gradients are exchanged during the backward pass. */
  #queueWithReducer(input: StepInput, stop: StopReason | null): Queued {
    let exchanged: Promise<unknown> | null = null
    const values = torch.scope(() => {
      const losses = this.#losses(input)
      const values = withVotes(lossTensor(losses), stop)
      const averaged = this.#peers.average(values)
      if (input.update) this.#reducer?.prepare()
      scaled(losses.loss, input.window).backward()
      const ends = [input.update && this.#reducer?.finish(), averaged()]
      exchanged = Promise.all(ends)
      if (input.update) this.#update(input.update)
      return values
    })
    return { values, exchanged }
  }

  /** Nothing but operations on tensors, so that it can be a program. */
  #runPass(input: StepInput): PassResult {
    return torch.scope(() => {
      const figures = this.#losses(input)
      const losses = lossTensor(figures)
      const loss = scaled(figures.loss, input.window)
      if (this.#buckets) return { losses, buckets: this.#buckets.collect(loss, input) }
      loss.backward()
      if (input.update) this.#update(input.update)
      return { losses, buckets: [] }
    })
  }

  #losses({ indices, augmentation, target, mask }: StepInput): Record<keyof StepFigures, Tensor> {
    const { data, train, diffusion } = this.#config
    const raw = this.#images.batch(indices)
    const greys = augmentation
      ? (this.#augmentation as Augmentation).change(raw, augmentation)
      : raw
    const example = { image: imageToNetwork(greys, data.imageRange), target, mask }
    const size = indices.shape[0] as number
    const t = drawTimesteps(train.timestepSampling, size, diffusion.timesteps, this.#generator)
    return withPrecision(train.precision, this.#device, () =>
      this.#objective.loss(this.model, example, { ...t, generator: this.#generator }),
    )
  }

  #update({ lr, share }: Update): null {
    const { clipNorm } = this.#config.train
    this.#buckets?.give()
    if (clipNorm !== null) clipGradNorm_(this.model.parameters(), clipNorm)
    this.#optimizer.step({ lr })
    this.#optimizer.zeroGrad()
    if (share) this.ema?.update(share)
    return null
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
    this.#readings.flush()
    this.#pass?.dispose()
    this.#updating?.dispose()
    this.#reducer?.dispose()
    this.#buckets?.[Symbol.dispose]()
    this.#images[Symbol.dispose]()
    this.#augmentation?.[Symbol.dispose]()
    this.#objective.dispose()
    this.#generator.dispose()
    this.#optimizer.dispose()
    this.ema?.dispose()
    this.model.dispose()
  }
}

function scaled(loss: Tensor, window: number): Tensor {
  return window > 1 ? loss.div(window) : loss
}

function withPrefix(prefix: string, dict: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(dict).map(([name, value]) => [prefix + name, value]))
}
