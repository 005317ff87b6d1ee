/** Scoring a model on held-out training images while it trains: always the same images, the same noise, the network in evaluation mode. */

import type { ImageCache } from '../data/cache.js'
import type { Sample } from '../data/isbi2015.js'
import { Random } from '../data/random.js'
import { LandmarkDiffusionError } from '../errors.js'
import { Predictor, type PredictorOptions } from '../inference/predictor.js'
import { fitCanvas } from '../landmarks/geometry.js'
import type { UNet } from '../model/index.js'
import type { Config } from './config-schema.js'
import type { Peers } from './peers.js'

export interface ValidationFigures {
  /** Mean radial error over all points, in `unit`. */
  mre: number
  median: number
  /** Share of points within 2 mm, in percent; null where an image has no pixel size. */
  sdr2: number | null
  /** Points that are off by more than 10 mm; null where an image has no pixel size. */
  gross: number | null
  points: number
  /** Pixels of the original image where an image has no pixel size. */
  unit: 'mm' | 'px'
}

/** Images that are scored together. */
const batchSize = 4

/** Places of the samples to hold out, and of those to train on; the same for the same seed. */
export function splitValidation(
  count: number,
  { images, seed }: Config['train']['validation'],
): { training: number[]; validation: number[] } {
  if (images >= count) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `train.validation.images = ${images} leaves nothing to train on: there are ${count} training images`,
    )
  }
  const held = new Set(new Random(seed).permutation(count).subarray(0, images))
  const all = Array.from({ length: count }, (_, i) => i)
  return {
    training: all.filter((i) => !held.has(i)),
    validation: all.filter((i) => held.has(i)),
  }
}

export class Validator {
  readonly #config: Config
  readonly #cache: ImageCache
  readonly #samples: readonly Sample[]
  readonly #model: UNet
  /** Kept from one validation to the next: its programs see the weights of the moment. */
  readonly #predictor: Predictor

  /** cache: the images of these samples in the same order */
  constructor(
    model: UNet,
    config: Config,
    cache: ImageCache,
    samples: readonly Sample[],
    options: PredictorOptions = {},
  ) {
    this.#model = model
    this.#predictor = new Predictor(model, config, options)
    this.#config = config
    this.#cache = cache
    this.#samples = samples
  }

  /** Each rank scores a share of the images; all get the figures. Leaves the model in training mode. */
  async score(peers: Peers): Promise<ValidationFigures> {
    const { steps, seed } = this.#config.train.validation
    const unit = this.#samples.every(({ pixelSize }) => pixelSize) ? 'mm' : 'px'
    // Of all points: the error, and whether there is a truth. The others' are 0 until they are summed.
    const points = this.#model.landmarks
    const errors = new Float64Array(this.#samples.length * points)
    const known = new Float64Array(errors.length)
    this.#model.eval()
    try {
      const share = batchSize * peers.size
      for (let first = batchSize * peers.rank; first < this.#samples.length; first += share) {
        const samples = this.#samples.slice(first, first + batchSize)
        const images = Buffer.concat(samples.map((_, i) => this.#cache.get(first + i)))
        const seeds = samples.map((_, i) => seed + first + i)
        const predictions = await this.#predictor.predict(images, { steps, chains: 1, seeds })
        for (const [i, { points: predicted }] of predictions.entries()) {
          const own = radialErrors(samples[i] as Sample, predicted, this.#cache, unit)
          for (const [n, error] of own.entries()) {
            if (error === null) continue
            errors[(first + i) * points + n] = error
            known[(first + i) * points + n] = 1
          }
        }
      }
    } finally {
      this.#model.train()
    }
    const [all, whether] = [await peers.sum(errors), await peers.sum(known)]
    return summarise(
      [...all].filter((_, i) => whether[i] === 1),
      unit,
    )
  }

  [Symbol.dispose](): void {
    this.#predictor[Symbol.dispose]()
  }
}

/** null where the truth is unknown. */
function radialErrors(
  sample: Sample,
  points: readonly (readonly [number, number])[],
  canvas: ImageCache,
  unit: 'mm' | 'px',
): (number | null)[] {
  const toOriginal = fitCanvas(sample, canvas).inverse()
  const [sx, sy] = unit === 'mm' ? (sample.pixelSize ?? [1, 1]) : [1, 1]
  return points.map((point, n) => {
    const truth = sample.points?.[n]
    if (!truth) return null
    const [x, y] = toOriginal.apply(point)
    return Math.hypot((x - truth[0]) * sx, (y - truth[1]) * sy)
  })
}

function summarise(errors: number[], unit: 'mm' | 'px'): ValidationFigures {
  const points = errors.length
  const sorted = errors.toSorted((a, b) => a - b)
  const within = (limit: number) => errors.filter((error) => error <= limit).length
  return {
    mre: errors.reduce((sum, error) => sum + error, 0) / points,
    median: sorted[Math.floor(points / 2)] ?? Number.NaN,
    sdr2: unit === 'mm' ? (100 * within(2)) / points : null,
    gross: unit === 'mm' ? points - within(10) : null,
    points,
    unit,
  }
}
