/** `train`: a run from its configuration to its checkpoints, as an async iterator of what happens. It goes on only while its events are taken. */

import { buildCache, ImageCache } from '../data/cache.js'
import { readIsbi, type Sample } from '../data/isbi2015.js'
import { LandmarkDiffusionError } from '../errors.js'
import * as torch from '../torch/index.js'
import { type CheckpointMetadata, readCheckpoint, writeCheckpoint } from './checkpoint.js'
import type { Config, ConfigSources } from './config.js'
import { MetricsLog } from './metrics-log.js'
import { openRun } from './resume.js'
import { fingerprint, RunFolder } from './run-folder.js'
import { Session, type StepFigures } from './session.js'
import { splitValidation, type ValidationFigures, Validator } from './validation.js'

export interface TrainOptions extends ConfigSources {
  /** Folder of a data set in the ISBI layout. Default, when resuming: the one the run began with. */
  data?: string | undefined
  /** Folder of the run. */
  out: string
  /** Go on from the last checkpoint of `out`; without one, begin. */
  resume?: boolean | undefined
  /** Shorthand for `train.seed`. */
  seed?: number | undefined
  /** Only `cpu` for now. */
  device?: string | undefined
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
    }
  | ({
      type: 'step'
      /** Batches done, this one included. */
      step: number
      epoch: number
      lr: number
      imagesPerSecond: number
    } & StepFigures)
  | ({ type: 'validation'; step: number; best: boolean } & ValidationFigures)
  | { type: 'checkpoint'; step: number; name: 'last' | 'best'; file: string }
  | { type: 'warning'; message: string }
  | { type: 'end'; step: number; seconds: number; reason: 'done' | 'aborted' | 'time' }

/** Batches that may be queued beyond the one whose loss has been read: JavaScript never waits for the last, and never runs far ahead. */
const runAhead = 2

/**
 * Trains, and saves `config.yaml`, `environment.json`, `metrics.jsonl` and `checkpoints/` in `out`.
 * The signal makes it save and end with reason `aborted`; leaving the loop early ends it without
 * saving. Seeds torch's default generator, so that two runs at once in one process disturb each
 * other's dropout.
 *
 * @throws ERR_CONFIG, ERR_DATA, ERR_IMAGE before it starts; ERR_CHECKPOINT where one cannot be read
 * or written; ERR_DIVERGED when the loss is no number any more
 */
export async function* train(
  options: TrainOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<TrainEvent, void, void> {
  const folder = new RunFolder(options.out)
  const { config, data, resume } = await openRun(folder, options)
  const { width, height, truth } = config.data
  const samples = await readIsbi(data, { split: 'train', truth })
  const marked = samples.filter(({ points }) => points !== null)
  if (marked.length === 0) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${data}: no training image has annotations; expected AnnotationsByMD/400_senior and 400_junior`,
    )
  }
  const split = splitValidation(marked.length, config.train.validation)
  const pick = (places: number[]) => places.map((place) => marked[place] as Sample)
  const [training, validation] = [pick(split.training), pick(split.validation)]
  const checkpoint = resume ? await readCheckpoint(folder.checkpoint('last')) : null
  const print = fingerprint(marked)
  if (checkpoint && checkpoint.metadata.data !== print) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${data}: these are not the images and points that the run in ${folder.path} was begun with; give the same data set, or another --out`,
    )
  }

  await folder.create()
  const warnings: TrainEvent[] = []
  let decoded = { done: 0, total: marked.length }
  const caching = buildCache(
    [...training, ...validation],
    { width, height },
    folder.cacheFile(`train-${width}x${height}`),
    {
      ...(signal ? { signal } : {}),
      onProgress: (progress) => {
        decoded = progress
      },
      onWarning: (message) => warnings.push({ type: 'warning', message }),
    },
  )
  let cache: ImageCache | null = null
  while (!cache) {
    const tick = new Promise<null>((resolve) => setTimeout(resolve, 100, null))
    cache = await Promise.race([caching, tick])
    yield { type: 'prepare', ...decoded }
  }
  yield* warnings

  using session = new Session(config, section(cache, 0, training.length), training)
  if (checkpoint) {
    const { metadata, tensors } = checkpoint
    await session.restore({ progress: metadata.progress, tensors })
    for (const tensor of Object.values(tensors)) tensor.dispose()
  }
  await folder.writeConfig(config)
  await folder.writeEnvironment({ folder: data, images: marked.length, fingerprint: print })
  await using log = await MetricsLog.open(folder.metricsFile, session.step)
  yield {
    type: 'start',
    folder: folder.path,
    config,
    step: session.step,
    total: session.total,
    images: training.length,
    validationImages: validation.length,
    parameters: session.model.parameterCount(),
  }
  const validator =
    validation.length > 0
      ? new Validator(config, section(cache, training.length, validation.length), validation)
      : null
  const run = new Run({ config, folder, session, validator, log, fingerprint: print })
  yield* run.events(checkpoint?.metadata ?? null, signal)
}

/** `count` images of a cache from `first` on, as a cache over the same memory. */
function section(cache: ImageCache, first: number, count: number): ImageCache {
  const { buffer, byteOffset, length } = cache.get(first)
  return new ImageCache(new Uint8Array(buffer, byteOffset, count * length), cache)
}

interface RunParts {
  config: Config
  folder: RunFolder
  session: Session
  validator: Validator | null
  log: MetricsLog
  fingerprint: string
}

/** A queued batch whose losses have not been read yet. */
interface Queued {
  step: number
  epoch: number
  lr: number
  figures: Promise<StepFigures>
}

/** The loop over batches, with what is due between them. */
class Run {
  readonly #parts: RunParts
  readonly #queue: Queued[] = []
  readonly #speed: Speedometer
  #window: StepFigures[] = []
  #best: CheckpointMetadata['best'] = null
  #began = 0

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#speed = new Speedometer(parts.config.train.batchSize)
  }

  async *events(
    resumed: CheckpointMetadata | null,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { session, config } = this.#parts
    const { train } = config
    this.#best = resumed?.best ?? null
    this.#began = performance.now() - (resumed?.seconds ?? 0) * 1000
    let saved = session.step
    let reason: 'done' | 'aborted' | 'time' = 'done'
    let validationDue = resumed?.validationDue ?? false
    session.model.train()
    for (;;) {
      const finished = session.step >= session.total
      if (!finished) {
        if (signal?.aborted) reason = 'aborted'
        else if (train.minutes !== null && this.#seconds >= train.minutes * 60) reason = 'time'
        if (reason !== 'done') break
      }
      if (validationDue) {
        yield* this.#validate()
        validationDue = false
      }
      if (finished) break
      if (session.step > saved && session.step % train.checkpointEvery === 0) {
        yield* this.#drain()
        yield await this.#save('last', false)
        saved = session.step
      }
      yield* this.#enqueue()
      const { step } = session
      validationDue =
        this.#parts.validator !== null &&
        (step % train.validation.every === 0 || step >= session.total)
    }
    yield* this.#drain()
    yield await this.#save('last', validationDue)
    yield { type: 'end', step: session.step, seconds: this.#seconds, reason }
  }

  /** Queues one batch, and reports the one `runAhead` before it. */
  async *#enqueue(): AsyncGenerator<TrainEvent, void, void> {
    const { session } = this.#parts
    const { epoch, lr } = session
    const figures = session.advance()
    // Read later; a failure in between must not count as unhandled.
    figures.catch(() => undefined)
    this.#queue.push({ step: session.step, epoch, lr, figures })
    if (this.#queue.length > runAhead) yield await this.#report(this.#queue.shift() as Queued)
  }

  async *#drain(): AsyncGenerator<TrainEvent, void, void> {
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      yield await this.#report(next)
    }
  }

  async #report({ step, epoch, lr, figures: promise }: Queued): Promise<TrainEvent> {
    const figures = await promise
    if (!Object.values(figures).every(Number.isFinite)) throw this.#diverged(step, figures)
    const imagesPerSecond = this.#speed.tick()
    this.#window.push(figures)
    const { log, config } = this.#parts
    if (step % config.train.logEvery === 0) {
      const mean = meanFigures(this.#window)
      this.#window = []
      const seconds = this.#seconds
      await log.append({ type: 'train', step, epoch, ...mean, lr, imagesPerSecond, seconds })
    }
    return { type: 'step', step, epoch, ...figures, lr, imagesPerSecond }
  }

  async *#validate(): AsyncGenerator<TrainEvent, void, void> {
    yield* this.#drain()
    const { session, validator, log } = this.#parts
    if (!validator) return
    const score = () => validator.score(session.model)
    const figures = await (session.ema ? session.ema.use(score) : score())
    const { step } = session
    const best = this.#best === null || figures.mre < this.#best.mre
    await log.append({ type: 'validation', step, ...figures, best })
    yield { type: 'validation', step, best, ...figures }
    if (best) {
      this.#best = { step, mre: figures.mre }
      yield await this.#save('best', false)
    }
    this.#speed.reset()
  }

  /** Writes a checkpoint, but never one whose weights are not numbers. */
  async #save(name: 'last' | 'best', validationDue: boolean): Promise<TrainEvent> {
    const { session, folder, config, fingerprint } = this.#parts
    if (!(await session.isFinite())) throw this.#diverged(session.step, null)
    const file = folder.checkpoint(name)
    await torch.scopeAsync(async () => {
      const { progress, tensors } = await session.capture()
      await writeCheckpoint(file, tensors, {
        config,
        data: fingerprint,
        seconds: this.#seconds,
        best: this.#best,
        validationDue,
        progress,
      })
    })
    this.#speed.reset()
    return { type: 'checkpoint', step: session.step, name, file }
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
  #times: number[] = [performance.now()]

  constructor(batchSize: number) {
    this.#batchSize = batchSize
  }

  tick(): number {
    this.#times.push(performance.now())
    if (this.#times.length > 21) this.#times.shift()
    const seconds = ((this.#times.at(-1) as number) - (this.#times[0] as number)) / 1000
    return (this.#batchSize * (this.#times.length - 1)) / Math.max(seconds, 1e-9)
  }

  reset(): void {
    this.#times = [performance.now()]
  }
}
