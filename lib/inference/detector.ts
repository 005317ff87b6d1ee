/** An image in, landmarks out: loading a trained run, bringing images to its canvas, and the way back to pixels of the original and millimetres. */

import { existsSync, statSync } from 'node:fs'
import { extname } from 'node:path'
import { CanvasPool } from '../data/canvas-pool.js'
import type { GreyImage } from '../data/image.js'
import type { SampleStep } from '../diffusion/index.js'
import { LandmarkDiffusionError } from '../errors.js'
import type { Covariance } from '../evaluation/uncertainty/covariance.js'
import { type Affine, fitCanvas, type Point } from '../landmarks/geometry.js'
import type { Landmark } from '../landmarks/landmark-set.js'
import type { UNet } from '../model/index.js'
import { skipInit } from '../nn/init.js'
import * as torch from '../torch/index.js'
import { loadTensors, readCheckpointMetadata, withoutPrefix } from '../training/checkpoint.js'
import { type Config, type ConfigSources, loadConfig } from '../training/config.js'
import { usableDevice } from '../training/device.js'
import { createModel, landmarkSet } from '../training/parts.js'
import { RunFolder } from '../training/run-folder.js'
import { type CanvasPrediction, Predictor } from './predictor.js'
import type { HeatmapTiles } from './tiles.js'

/** Pixels that are already decoded: row-major, `channels` bytes a pixel (1 grey, 3 RGB, 4 RGBA; default 1). */
export interface RawImage {
  data: Uint8Array
  width: number
  height: number
  channels?: 1 | 3 | 4
}

/** A path, the bytes of an encoded image, or raw pixels. */
export type ImageInput = string | Uint8Array | RawImage

export interface DetectOptions {
  /** Size of a pixel of the original in mm: one number, or [x, y]. Without it results are in pixels only. */
  pixelSize?: number | readonly [number, number] | null | undefined
  /** Network evaluations a chain; 1 is the single-step result. Default: the run's configuration. */
  steps?: number | undefined
  /** Independent chains. Default: the run's configuration. */
  chains?: number | undefined
  /** Seed of the noise. Default 0. */
  seed?: number | undefined
  /** Cancels between network evaluations. */
  signal?: AbortSignal | undefined
  /** Told of every network evaluation; its tensor is freed after the call. */
  onStep?: ((step: SampleStep) => void | Promise<void>) | undefined
  /** Measure expected radial error, covariance and confidence. Default true. */
  uncertainty?: boolean | undefined
  /** Also return the heatmaps. Default false. */
  heatmaps?: boolean | undefined
}

/** A landmark in the image: x right, y down, in pixels of the original, the centre of the first one at (0, 0). */
export interface DetectedLandmark extends Landmark {
  x: number
  y: number
  /** Expected radial error, in mm with a pixel size and in pixels of the original without. */
  ere?: number
  /** Mean position, in pixels of the original. */
  mean?: Point
  /** In mm^2 or square pixels, likewise; the sum of `within` and `between` where there are several chains. */
  covariance?: Covariance
  /** Mean covariance of the single chains, and covariance of their means. */
  within?: Covariance
  between?: Covariance
  /** Probability of the hottest pixel of the network's canvas. */
  confidence?: number
}

/** Probabilities on the network's canvas. */
export interface DetectedHeatmaps {
  width: number
  height: number
  /** [N * height * width], a landmark after the other. */
  data: Float32Array
  /** The same, small enough to be kept. */
  tiles: HeatmapTiles
  /** From pixels of the canvas to those of the original. */
  toOriginal: Affine
}

export interface Detection {
  landmarks: DetectedLandmark[]
  /** Size of the original image. */
  width: number
  height: number
  /** [x, y] in mm; null when unknown. */
  pixelSize: [number, number] | null
  /** What each chain says by itself, [M][N], in pixels of the original; null with one chain. */
  chains: Point[][] | null
  /** Size of a pixel of the network's canvas in pixels of the original, to which `confidence` refers. */
  heatmapPixel: [number, number]
  /** Null unless asked for. */
  heatmaps: DetectedHeatmaps | null
}

/** A folder that `train` wrote, or a checkpoint file in it. */
export interface LoadOptions {
  /** Which checkpoint of a run folder: `best`, where there is one, is the default. */
  checkpoint?: 'best' | 'last' | undefined
  /** Runs the network op by op instead of as a recorded program. Results are the same. */
  eager?: boolean | undefined
  /** Where to compute: `cpu` (default), `cuda:0`, ... */
  device?: string | undefined
}

/** Weights from elsewhere: a safetensors file or a PyTorch state dict, and the configuration that they belong to. */
export interface LoadSources extends Omit<ConfigSources, 'set'> {
  weights: string
  set?: readonly string[] | undefined
}

/** Detects landmarks with one trained model. Free it with `await using` or `dispose()`. */
export class Detector implements AsyncDisposable {
  readonly config: Config
  readonly #model: UNet
  readonly #predictor: Predictor
  readonly #images = new CanvasPool()

  private constructor(config: Config, model: UNet, eager: boolean | undefined) {
    this.config = config
    this.#model = model.eval().requiresGrad_(false)
    this.#predictor = new Predictor(model, config, { eager })
  }

  /**
   * @param source a run folder, a checkpoint file, or `{ config, weights }`. The averaged weights are
   *   used where the file holds them.
   * @throws ERR_CONFIG for a folder that is no run; ERR_CHECKPOINT, naming the file, for weights that cannot be read or do not fit; ERR_DEVICE
   */
  static async load(
    source: string | LoadSources,
    { checkpoint, device: name, eager }: LoadOptions = {},
  ): Promise<Detector> {
    const device = usableDevice(name)
    const { config, weights } = await locate(source, checkpoint)
    return torch.scopeAsync(async () => {
      const loaded = await loadWeights(weights)
      const model = skipInit(() => createModel(config))
      try {
        model.loadStateDict(stateDictOf(loaded))
        model.to(device)
      } catch (cause) {
        model.dispose()
        throw new LandmarkDiffusionError(
          'ERR_CHECKPOINT',
          `${weights}: ${(cause as Error).message}`,
          { cause },
        )
      }
      return new Detector(config, model, eager)
    })
  }

  get landmarks(): readonly Landmark[] {
    return landmarkSet(this.config).landmarks
  }

  /** @throws ERR_IMAGE for an image that cannot be read; ERR_ABORTED */
  async detect(image: ImageInput, options: DetectOptions = {}): Promise<Detection> {
    const [detection] = await this.detectBatch([image], options)
    return detection as Detection
  }

  /** Several images at once, of any sizes: faster than one by one, with the same noise and so the same results. */
  async detectBatch(
    images: readonly ImageInput[],
    options: DetectOptions & {
      /** A pixel size for each image, instead of one for all. */
      pixelSizes?: readonly DetectOptions['pixelSize'][]
    } = {},
  ): Promise<Detection[]> {
    if (images.length === 0) return []
    if (options.signal?.aborted) {
      throw new LandmarkDiffusionError('ERR_ABORTED', 'Detection was cancelled before it began.', {
        cause: options.signal.reason,
      })
    }
    const canvas = this.config.data
    const fitted = await Promise.all(images.map((image) => this.#images.fit(toGrey(image), canvas)))
    const originals = fitted.map(({ width, height }, i) => {
      const pixelSize = toPair(options.pixelSizes ? options.pixelSizes[i] : options.pixelSize)
      return { width, height, pixelSize, map: fitCanvas({ width, height }, canvas) }
    })
    const pixels = Buffer.concat(fitted.map((image) => image.pixels))
    const predictions = await this.#predictor.predict(pixels, {
      ...options,
      seeds: images.map(() => options.seed ?? 0),
      units: options.uncertainty === false ? undefined : originals.map(unitOf),
    })
    return predictions.map((prediction, i) => this.#describe(prediction, originals[i] as Original))
  }

  #describe(prediction: CanvasPrediction, original: Original): Detection {
    const { width, height, pixelSize } = original
    const back = original.map.inverse()
    const { width: canvasWidth, height: canvasHeight } = this.config.data
    return {
      landmarks: this.landmarks.map(({ name, label }, n) => {
        const [x, y] = back.apply(prediction.points[n] as Point)
        const spread = prediction.spreads?.[n]
        return { name, label, x, y, ...(spread && { ...spread, mean: back.apply(spread.mean) }) }
      }),
      width,
      height,
      pixelSize,
      chains: prediction.chains?.map((points) => points.map((point) => back.apply(point))) ?? null,
      heatmapPixel: [back.a, back.e],
      heatmaps: prediction.heatmaps && {
        width: canvasWidth,
        height: canvasHeight,
        ...prediction.heatmaps,
        toOriginal: back,
      },
    }
  }

  /** Frees the weights and ends the worker threads. */
  async dispose(): Promise<void> {
    this.#predictor[Symbol.dispose]()
    this.#model.dispose()
    await this.#images.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }
}

interface Original {
  width: number
  height: number
  pixelSize: [number, number] | null
  /** To the network's canvas. */
  map: Affine
}

/** Size of a canvas pixel: in mm, or in pixels of the original where the scale is unknown. */
function unitOf({ map, pixelSize }: Original): [number, number] {
  const [sx, sy] = pixelSize ?? [1, 1]
  return [sx / map.a, sy / map.e]
}

function toPair(pixelSize: DetectOptions['pixelSize']): [number, number] | null {
  if (pixelSize === undefined || pixelSize === null) return null
  const [x, y] = typeof pixelSize === 'number' ? [pixelSize, pixelSize] : pixelSize
  if (x > 0 && y > 0 && Number.isFinite(x) && Number.isFinite(y)) return [x, y]
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    `a pixel size of ${x} x ${y} mm makes no sense; give millimetres above 0, or none`,
  )
}

/** Raw pixels as grey ones; a file or an encoded image as it is. */
function toGrey(image: ImageInput): string | Uint8Array | GreyImage {
  if (typeof image === 'string' || image instanceof Uint8Array) return image
  const { data, width, height, channels = 1 } = image
  if (data.length !== width * height * channels || data.length === 0) {
    throw new LandmarkDiffusionError(
      'ERR_IMAGE',
      `raw pixels: ${data.length} bytes are not ${width} x ${height} pixels of ${channels} channels`,
    )
  }
  if (channels === 1) return { data, width, height }
  // The weights of ITU-R BT.601, as for encoded images.
  const grey = new Uint8Array(width * height)
  for (let i = 0, at = 0; i < grey.length; i++, at += channels) {
    const [r, g, b] = [data[at] as number, data[at + 1] as number, data[at + 2] as number]
    grey[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b)
  }
  return { data: grey, width, height }
}

async function locate(source: string | LoadSources, name: LoadOptions['checkpoint']) {
  if (typeof source !== 'string') {
    if (typeof source?.weights !== 'string') {
      throw new LandmarkDiffusionError('ERR_CONFIG', 'wants a path, or { config, weights }')
    }
    const { weights, ...sources } = source
    return { config: loadConfig(sources), weights }
  }
  if (existsSync(source) && statSync(source).isFile()) {
    const metadata = await readCheckpointMetadata(source)
    if (metadata) return { config: metadata.config, weights: source }
    throw new LandmarkDiffusionError(
      'ERR_CHECKPOINT',
      `${source}: these weights come without a configuration; give { config, weights }, or a run folder`,
    )
  }
  const folder = new RunFolder(source)
  const config = folder.readConfig()
  const best = folder.checkpoint('best')
  const weights = name
    ? folder.checkpoint(name)
    : existsSync(best)
      ? best
      : folder.checkpoint('last')
  if (existsSync(weights)) return { config, weights }
  throw new LandmarkDiffusionError(
    'ERR_CHECKPOINT',
    `${weights}: there is no such checkpoint; has the run saved one yet?`,
  )
}

type Tensors = Record<string, torch.Tensor>

/** The tensors of a safetensors file, or of a PyTorch file: its `state_dict` entry (Lightning), or itself. */
async function loadWeights(path: string): Promise<Tensors> {
  if (extname(path) === '.safetensors') return loadTensors(path)
  const loaded = await torch.loadPickle(path)
  const found = tensorsOf(isRecord(loaded) && loaded.state_dict ? loaded.state_dict : loaded)
  if (Object.keys(found).length > 0) return found
  throw new LandmarkDiffusionError(
    'ERR_CHECKPOINT',
    `${path}: holds no state dict (a dictionary of names and tensors)`,
  )
}

function tensorsOf(value: torch.Loaded): Tensors {
  const tensors: Tensors = {}
  if (!isRecord(value)) return tensors
  for (const [name, entry] of Object.entries(value)) {
    if (entry instanceof torch.Tensor) tensors[name] = entry
  }
  return tensors
}

function isRecord(value: torch.Loaded): value is { [key: string]: torch.Loaded } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Averaged weights where a checkpoint holds them, its plain ones, or all of a bare state dict (Lightning's `model.` prefix included). */
function stateDictOf(loaded: Tensors): Tensors {
  for (const prefix of ['ema.', 'model.diffusion_model.', 'model.']) {
    const part = withoutPrefix(loaded, prefix)
    if (Object.keys(part).length > 0) return part
  }
  return loaded
}
