/**
 * Batches of a data set in a seeded random order that can be saved and continued exactly. A batch names its
 * images and brings their points; the pixels stay where they are (`ResidentImages`).
 */
import { LandmarkDiffusionError } from '../errors.js'
import { fitCanvas, type Size } from '../landmarks/geometry.js'
import type { Sample } from './isbi2015.js'
import { Random } from './random.js'

export interface Batch {
  /** [B * N * 2] x, y in network pixels; NaN where a point is missing. */
  readonly points: Float64Array
  readonly ids: readonly string[]
  /** Places in the list of samples. */
  readonly indices: readonly number[]
  /** Epoch of the first image of the batch, from 0, and its place in that epoch's order. */
  readonly epoch: number
  readonly index: number
}

/** Where the next batch starts. */
export interface LoaderPosition {
  readonly seed: number
  readonly epoch: number
  readonly index: number
}

export interface LoaderOptions {
  batchSize: number
  seed: number
  /** Landmarks per image, for data sets without a labelled image; default: that of the first sample. */
  landmarks?: number
  /** Default true; false keeps the order of the samples. */
  shuffle?: boolean
  /**
   * What happens when an epoch's images are not a multiple of the batch size: `wrap` (default) fills
   * the batch with the first images of the next epoch, so that all batches have one size and none is
   * dropped; `short` gives the rest as a smaller batch.
   */
  lastBatch?: 'wrap' | 'short'
}

export class Loader {
  readonly length: number
  readonly #samples: readonly Sample[]
  readonly #points: Float64Array
  readonly #landmarks: number
  readonly #options: LoaderOptions
  #position: LoaderPosition
  #order: Int32Array

  /** canvas: of the network, in whose pixels the points are given. @throws ERR_DATA for an empty list */
  constructor(canvas: Size, samples: readonly Sample[], options: LoaderOptions) {
    if (samples.length === 0)
      throw new LandmarkDiffusionError('ERR_DATA', 'no image to load; choose another split')
    if (!Number.isInteger(options.batchSize) || options.batchSize < 1)
      throw new RangeError(`a batch size of ${options.batchSize}`)
    this.length = samples.length
    this.#samples = samples
    this.#options = options
    this.#landmarks =
      options.landmarks ?? samples.find((sample) => sample.points)?.points?.length ?? 0
    this.#points = networkPoints(samples, canvas, this.#landmarks)
    this.#position = { seed: options.seed, epoch: 0, index: 0 }
    this.#order = this.#permutation(0)
  }

  /** Batches in an epoch; with `wrap` rounded up, and the last one reaches into the next epoch. */
  get batchesPerEpoch(): number {
    return Math.ceil(this.length / this.#options.batchSize)
  }

  /** Where the next batch will start; hand it to `restore` to continue from here. */
  get position(): LoaderPosition {
    return this.#position
  }

  /** Continues at a saved position, also that of another loader over the same samples. */
  restore(position: LoaderPosition): void {
    const { epoch, index } = position
    if (!Number.isInteger(epoch) || epoch < 0 || !(index >= 0 && index < this.length))
      throw new LandmarkDiffusionError(
        'ERR_CHECKPOINT',
        `the saved data position (epoch ${epoch}, image ${index}) does not fit ${this.length} images; ` +
          'resume with the data set the run was started with',
      )
    this.#position = { seed: position.seed, epoch, index }
    this.#order = this.#permutation(epoch)
  }

  /** The next batch; there is always one. */
  next(): Batch {
    const { batchSize, lastBatch = 'wrap' } = this.#options
    const { epoch, index } = this.#position
    const count = lastBatch === 'short' ? Math.min(batchSize, this.length - index) : batchSize
    const stride = this.#landmarks * 2
    const points = new Float64Array(count * stride)
    const indices: number[] = []
    for (let b = 0; b < count; b++) {
      const sample = this.#advance()
      indices.push(sample)
      points.set(this.#points.subarray(sample * stride, (sample + 1) * stride), b * stride)
    }
    const ids = indices.map((i) => (this.#samples[i] as Sample).id)
    return { points, ids, indices, epoch, index }
  }

  /** Passes over batches that other processes take. */
  skip(batches: number): void {
    for (let i = batches * this.#options.batchSize; i > 0; i--) this.#advance()
  }

  #advance(): number {
    const { seed, epoch, index } = this.#position
    const sample = this.#order[index] as number
    if (index + 1 < this.length) this.#position = { seed, epoch, index: index + 1 }
    else {
      this.#position = { seed, epoch: epoch + 1, index: 0 }
      this.#order = this.#permutation(epoch + 1)
    }
    return sample
  }

  #permutation(epoch: number): Int32Array {
    return this.#options.shuffle === false
      ? Int32Array.from({ length: this.length }, (_, i) => i)
      : new Random(this.#position.seed, epoch).permutation(this.length)
  }
}

/** [samples * N * 2] in network pixels, NaN where missing. */
function networkPoints(samples: readonly Sample[], canvas: Size, landmarks: number) {
  const points = new Float64Array(samples.length * landmarks * 2).fill(Number.NaN)
  samples.forEach((sample, s) => {
    if (!sample.points) return
    if (sample.points.length !== landmarks)
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `${sample.file}: ${sample.points.length} landmarks where ${landmarks} were expected; keep data sets apart`,
      )
    const map = fitCanvas(sample, canvas)
    sample.points.forEach((point, n) => {
      if (point) points.set(map.apply(point), (s * landmarks + n) * 2)
    })
  })
  return points
}
