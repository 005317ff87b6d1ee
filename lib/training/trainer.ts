/** `train`: a run from its configuration to its checkpoints, as an async iterator of what happens. It goes on only while its events are taken. */

import { LandmarkDiffusionError } from '../errors.js'
import { explainLoss } from './bad-luck.js'
import { type CheckpointMetadata, readCheckpoint, writeCheckpoint } from './checkpoint.js'
import type { Config, ConfigSources } from './config.js'
import { deviceOfRank, tuneDevice, usableDevice } from './device.js'
import { MetricsLog } from './metrics-log.js'
import { precisionOn } from './parts.js'
import { Peers } from './peers.js'
import type { StepFigures, StepOutcome, StopReason } from './readings.js'
import { openRun } from './resume.js'
import { decodeSamples, listSamples } from './run-data.js'
import { RunFolder } from './run-folder.js'
import { type Advance, Session, type StepPrograms } from './session.js'
import { type ValidationFigures, Validator } from './validation.js'

export interface TrainOptions extends ConfigSources {
  /** Folder of a data set in the ISBI layout. Default, when resuming: the one the run began with. */
  data?: string | undefined
  /** Folder of the run. */
  out: string
  /** Go on from the last checkpoint of `out`; without one, begin. */
  resume?: boolean | undefined
  /** Shorthand for `train.seed`. */
  seed?: number | undefined
  /**
   * `cpu`, `cuda:0`, ...; `cuda` is `cuda:LOCAL_RANK`. Default: `cpu`; of several processes `cuda` where there are
   * CUDA devices.
   */
  device?: string | undefined
  /** Runs steps op by op instead of as recorded programs. Results are the same. */
  eager?: boolean | undefined
  /**
   * Steps whose losses are read together; their events come together too. Default: on the CPU as many as take five
   * seconds, at most 10, and of several processes or with `eager` 1; on a GPU 10.
   */
  readEvery?: number | undefined
}

/** What happens in a run, in order. */
export type TrainEvent =
  | { type: 'prepare'; done: number; total: number }
  | {
      type: 'start'
      /** Absolute path of the run's folder. */
      folder: string
      config: Config
      /** Steps already done (a resumed run), of `total`. */
      step: number
      total: number
      /** Training images, without those held out. */
      images: number
      validationImages: number
      parameters: number
      device: string
      /** Of the network's arithmetic: what `auto` came to. */
      precision: 'float32' | 'bfloat16'
    }
  | ({
      type: 'step'
      /** Batches done, this one included; with several ranks, one of each. */
      step: number
      epoch: number
      lr: number
      imagesPerSecond: number
    } & StepFigures)
  | ({ type: 'validation'; step: number; best: boolean } & ValidationFigures)
  | { type: 'checkpoint'; step: number; name: 'last' | 'best'; file: string }
  | { type: 'warning'; message: string }
  | {
      type: 'end'
      step: number
      seconds: number
      reason: 'done' | StopReason
      /** How the steps of this session were run; null with `eager`. */
      programs: StepPrograms | null
    }

/** Batches that may be queued beyond those whose losses have been read: JavaScript never waits for the last, and never runs far ahead. */
export const runAhead = 2
const readEveryOnGpu = 10

/**
 * Trains, and saves `config.yaml`, `environment.json`, `metrics.jsonl` and `checkpoints/` in `out`.
 * The signal makes it save and end with reason `aborted`; leaving the loop early ends it without
 * saving. Seeds torch's default generator, so that two runs at once in one process disturb each
 * other's dropout.
 *
 * With `torchrun`'s variables in the environment it is one of several processes that train one model
 * (docs/distributed.md); only the first needs the options, and only it writes.
 *
 * @throws ERR_CONFIG, ERR_DATA, ERR_IMAGE before it starts; ERR_CHECKPOINT where one cannot be read
 * or written; ERR_DIVERGED when the loss is no number any more; ERR_DISTRIBUTED when another process
 * is lost
 */
export async function* train(
  options: TrainOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<TrainEvent, void, void> {
  const peers = await Peers.join()
  let parting = 'it left the run before its end'
  try {
    yield* trainTogether(options, peers, signal)
    parting = ''
  } catch (error) {
    parting = error instanceof Error ? error.message : String(error)
    throw error
  } finally {
    await peers.leave(parting)
  }
}

async function* trainTogether(
  options: TrainOptions,
  peers: Peers,
  signal: AbortSignal | undefined,
): AsyncGenerator<TrainEvent, void, void> {
  const folder = new RunFolder(options.out)
  const named = options.device !== undefined || peers.isAlone
  const device = named ? usableDevice(options.device) : deviceOfRank()
  tuneDevice(device)
  const { config, data, resume } = await peers.fromFirst(() => openRun(folder, options))
  // Alike on all ranks, which stop after the same batch.
  const readEvery = await peers.fromFirst(
    () =>
      options.readEvery ??
      (device !== 'cpu' ? readEveryOnGpu : peers.isAlone && !options.eager ? null : 1),
  )
  const samples = await peers.fromFirst(() => listSamples(data, config))
  const { training, validation, fingerprint } = samples
  const checkpoint =
    resume && peers.isFirst ? await readCheckpoint(folder.checkpoint('last')) : null
  if (checkpoint && checkpoint.metadata.data !== fingerprint) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${data}: these are not the images and points that the run in ${folder.path} was begun with; give the same data set, or another --out`,
    )
  }

  if (peers.isFirst) await folder.create()
  const { width, height } = config.data
  const { images, held } = yield* decodeSamples(
    { training, validation },
    config.data,
    folder.cacheFile(`train-${width}x${height}`),
    { peers, device, signal },
  )
  const { eager } = options
  using session = new Session(config, images, training, { peers, device, eager, readEvery })
  if (checkpoint) {
    session.load(checkpoint.tensors)
    for (const tensor of Object.values(checkpoint.tensors)) tensor.dispose()
  }
  const resumed = await peers.fromFirst(() => checkpoint?.metadata ?? null)
  if (resumed) session.seek(resumed.progress)
  await session.agree()
  if (peers.isFirst) {
    await folder.writeConfig(config)
    const count = training.length + validation.length
    await folder.writeEnvironment({ folder: data, images: count, fingerprint })
  }
  await using log = peers.isFirst ? await MetricsLog.open(folder.metricsFile, session.step) : null
  yield {
    type: 'start',
    folder: folder.path,
    config,
    step: session.step,
    total: session.total,
    images: training.length,
    validationImages: validation.length,
    parameters: session.model.parameterCount(),
    device,
    precision: precisionOn(device, config.train.precision),
  }
  const { model } = session
  using validator =
    validation.length > 0 ? new Validator(model, config, held, validation, { eager }) : null
  const run = new Run({ config, folder, session, validator, log, fingerprint, peers })
  yield* run.events(resumed, signal)
}

interface RunParts {
  config: Config
  folder: RunFolder
  session: Session
  validator: Validator | null
  /** Of the first rank. */
  log: MetricsLog | null
  fingerprint: string
  peers: Peers
}

/** A queued batch whose losses have not been read yet. */
interface Queued {
  step: number
  epoch: number
  lr: number
  outcome: Promise<StepOutcome>
  before: Advance['before']
}

/** The loop over batches, with what is due between them. */
class Run {
  readonly #parts: RunParts
  readonly #queue: Queued[] = []
  readonly #speed: Speedometer
  #window: StepFigures[] = []
  /** What a batch of several ranks brought word of. */
  #agreed: StopReason | null = null
  #best: CheckpointMetadata['best'] = null
  #began = 0
  /** The step whose outcome is waited for. */
  #reporting: number | null = null

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#speed = new Speedometer(parts.config.train.batchSize * parts.peers.size)
  }

  /** What fails the machine in a step, a validation or a checkpoint is told with what it means for the run. */
  async *events(
    resumed: CheckpointMetadata | null,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    try {
      yield* this.#loop(resumed, signal)
    } catch (error) {
      throw explainLoss(error, {
        step: this.#reporting ?? this.#parts.session.step,
        folder: this.#parts.folder.path,
      })
    }
  }

  async *#loop(
    resumed: CheckpointMetadata | null,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { session, config } = this.#parts
    const { train } = config
    this.#best = resumed?.best ?? null
    this.#began = performance.now() - (resumed?.seconds ?? 0) * 1000
    let saved = session.step
    let reason: 'done' | StopReason = 'done'
    let validationDue = resumed?.validationDue ?? false
    session.model.train()
    for (;;) {
      const finished = session.step >= session.total
      const wish = this.#wish(signal)
      if (!finished) {
        reason = (this.#parts.peers.isAlone ? wish : this.#agreed) ?? 'done'
        if (reason !== 'done') break
      }
      if (validationDue) {
        yield* this.#validate()
        validationDue = false
      }
      if (finished) break
      if (session.step > saved && this.#isDue(session.step, train.checkpointEvery)) {
        yield* this.#drain(signal)
        yield* this.#save('last', false)
        saved = session.step
        continue
      }
      const step = session.step + this.#parts.peers.size
      yield* this.#enqueue(wish, signal)
      validationDue =
        this.#parts.validator !== null &&
        session.step === step &&
        (this.#isDue(step, train.validation.every) || step >= session.total)
    }
    const reached = session.step
    yield* this.#drain(signal)
    if (session.step < reached) {
      reason = 'aborted'
      validationDue = false
    }
    yield* this.#save('last', validationDue)
    // The others stay until the last checkpoint is safe: if it cannot be written, all end as failed.
    await this.#parts.peers.meet()
    const { step, programs } = session
    yield { type: 'end', step, seconds: this.#seconds, reason, programs }
  }

  /** Why this process would stop now. Several do so together, when the batch that brings word of it is reported. */
  #wish(signal: AbortSignal | undefined): StopReason | null {
    const { minutes } = this.#parts.config.train
    if (signal?.aborted) return 'aborted'
    return minutes !== null && this.#seconds >= minutes * 60 ? 'time' : null
  }

  /** Whether the last batch, or the last one of each rank, took `step` over a multiple of `every`. */
  #isDue(step: number, every: number): boolean {
    const before = step - this.#parts.peers.size
    return Math.floor(step / every) > Math.floor(before / every)
  }

  /** Queues one batch, and reports those before it that have been read. */
  async *#enqueue(
    wish: StopReason | null,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { session } = this.#parts
    const { epoch, lr } = session
    const { queued, ...batch } = session.advance(wish)
    this.#queue.push({ step: session.step, epoch, lr, ...batch })
    await queued
    yield* this.#reportDownTo(runAhead + session.readTogether - 1, signal)
  }

  async *#drain(signal?: AbortSignal): AsyncGenerator<TrainEvent, void, void> {
    this.#parts.session.flush()
    yield* this.#reportDownTo(0, signal)
  }

  /** Reports all but the last `most` batches. Those that have not begun when the signal comes are as if they had never been. */
  async *#reportDownTo(
    most: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { session } = this.#parts
    const cancel = () => session.cancel()
    signal?.addEventListener('abort', cancel)
    if (signal?.aborted) cancel()
    try {
      while (this.#queue.length > most) {
        const next = this.#queue.shift() as Queued
        const event = await this.#report(next)
        if (event) yield event
        else {
          this.#queue.length = 0
          session.takeBack(next.before)
        }
      }
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** null for a batch that was cancelled. */
  async #report({ step, epoch, lr, outcome }: Queued): Promise<TrainEvent | null> {
    this.#reporting = step
    const came = await outcome.catch((error: unknown) => {
      if (error instanceof LandmarkDiffusionError && error.code === 'ERR_ABORTED') return null
      throw error
    })
    this.#reporting = null
    if (came === null) return null
    const { figures, stop, seconds: took } = came
    this.#agreed ??= stop
    if (!Object.values(figures).every(Number.isFinite)) throw this.#diverged(step, figures)
    const imagesPerSecond = this.#speed.after(took)
    this.#window.push(figures)
    const { log, config } = this.#parts
    if (this.#isDue(step, config.train.logEvery)) {
      const mean = meanFigures(this.#window)
      this.#window = []
      const seconds = this.#seconds
      await log?.append({ type: 'train', step, epoch, ...mean, lr, imagesPerSecond, seconds })
    }
    return { type: 'step', step, epoch, ...figures, lr, imagesPerSecond }
  }

  async *#validate(): AsyncGenerator<TrainEvent, void, void> {
    yield* this.#drain()
    const { session, validator, log, peers } = this.#parts
    if (!validator) return
    const score = () => validator.score(peers)
    const figures = await (session.ema ? session.ema.use(score) : score())
    const { step } = session
    const best = this.#best === null || figures.mre < this.#best.mre
    await log?.append({ type: 'validation', step, ...figures, best })
    yield { type: 'validation', step, best, ...figures }
    if (best) {
      this.#best = { step, mre: figures.mre }
      yield* this.#save('best', false)
    }
    this.#parts.session.pause()
  }

  /** Writes a checkpoint, but never one whose weights are not numbers. */
  async *#save(
    name: 'last' | 'best',
    validationDue: boolean,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { session, folder, config, fingerprint, peers } = this.#parts
    if (!(await session.isFinite())) throw this.#diverged(session.step, null)
    if (!peers.isFirst) return
    const file = folder.checkpoint(name)
    const { progress, tensors } = session.capture()
    await writeCheckpoint(file, tensors, {
      config,
      data: fingerprint,
      seconds: this.#seconds,
      best: this.#best,
      validationDue,
      progress,
    })
    this.#parts.session.pause()
    yield { type: 'checkpoint', step: session.step, name, file }
  }

  #diverged(step: number, figures: StepFigures | null): LandmarkDiffusionError {
    const what = figures
      ? `the loss of step ${step} is ${figures.loss} (nll ${figures.nll}, mse ${figures.mse})`
      : `after step ${step} a weight is not a finite number`
    return new LandmarkDiffusionError(
      'ERR_DIVERGED',
      `Training diverged: ${what}. The checkpoints in ${this.#parts.folder.path} are of earlier steps and untouched; begin again with a lower train.lr, or with train.clipNorm=1`,
    )
  }

  /** Seconds of training, earlier sessions of the run included. */
  get #seconds(): number {
    return (performance.now() - this.#began) / 1000
  }
}

function meanFigures(window: readonly StepFigures[]): StepFigures {
  const mean = (key: keyof StepFigures) =>
    window.reduce((sum, figures) => sum + figures[key], 0) / window.length
  return { loss: mean('loss'), nll: mean('nll'), mse: mean('mse') }
}

/** Images a second over the last batches; pauses for validation and saving do not count. */
class Speedometer {
  readonly #batchSize: number
  readonly #seconds: number[] = []

  constructor(batchSize: number) {
    this.#batchSize = batchSize
  }

  /** seconds: of one more batch */
  after(seconds: number): number {
    if (this.#seconds.push(seconds) > 20) this.#seconds.shift()
    const sum = this.#seconds.reduce((sum, each) => sum + each, 0)
    return (this.#batchSize * this.#seconds.length) / Math.max(sum, 1e-9)
  }
}
