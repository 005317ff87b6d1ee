/** From canvases to heatmaps and points: the network, its sampler and the decoding, without files and without original pixels. The detector and the validation both go through here; the baseline, one step and many steps too. */

import type { SampleStep } from '../diffusion/index.js'
import type { Point } from '../landmarks/geometry.js'
import type { UNet } from '../model/index.js'
import * as torch from '../torch/index.js'
import type { Config } from '../training/config-schema.js'
import { createSampler, imageToNetwork, withPrecision } from '../training/parts.js'
import { decodePoints, measureSpread, type Spread } from './decode.js'

type Tensor = torch.Tensor

export interface PredictOptions {
  /** Network evaluations a chain. Default: the configuration's. */
  steps?: number | undefined
  /** Independent chains. Default: the configuration's. */
  chains?: number | undefined
  /** Seed of each image's noise: an image gets the same noise whatever else is in the batch. */
  seeds: readonly number[]
  signal?: AbortSignal | undefined
  /** Called after each network evaluation of a chain; never for the baseline. */
  onStep?: ((step: SampleStep) => void | Promise<void>) | undefined
  /** Size of a canvas pixel [x, y] for each image; given, the spreads are measured in its unit. */
  units?: readonly (readonly [number, number])[] | undefined
  /** Also return the heatmaps. */
  heatmaps?: boolean | undefined
}

/** What is found on one canvas. */
export interface CanvasPrediction {
  /** N points in pixels of the canvas, decoded from the mean over the chains. */
  points: Point[]
  /** [M][N]: what each chain says by itself; null with one chain. */
  chains: Point[][] | null
  spreads: Spread[] | null
  /** [N * H * W] probabilities, a landmark after the other. */
  heatmaps: Float32Array | null
}

/** What a network says of a batch: log-probabilities [B * N, H * W], all chains together and each alone. */
interface Answer {
  mean: Tensor
  chains: Tensor[]
}

export class Predictor {
  readonly #model: UNet
  readonly #config: Config

  /** The model is the caller's; it should be in evaluation mode. */
  constructor(model: UNet, config: Config) {
    this.#model = model
    this.#config = config
  }

  /**
   * images: B canvases [B * H * W] of grey bytes -> B predictions.
   * @throws ERR_ABORTED between two network evaluations when the signal fires
   */
  async predict(images: Uint8Array, options: PredictOptions): Promise<CanvasPrediction[]> {
    const { width, height, imageRange } = this.#config.data
    const batch = images.length / (width * height)
    return torch.noGrad(() =>
      torch.scopeAsync(async () => {
        const greys = torch
          .tensor(images, { shape: [batch, 1, height, width], dtype: 'uint8' })
          .to('float32')
        const answer = await withPrecision(this.#config.sampling.precision, () =>
          this.#answer(imageToNetwork(greys, imageRange), options),
        )
        return this.#decode(answer, batch, options)
      }),
    )
  }

  /** image: [B, 1, H, W] */
  async #answer(image: Tensor, options: PredictOptions): Promise<Answer> {
    const { steps, chains, signal, onStep } = options
    if (this.#config.diffusion.objective === 'none') {
      const mean = logProbabilities(this.#model.forward(image))
      return { mean, chains: [mean] }
    }
    const sampler = createSampler(this.#config, {
      ...(steps === undefined ? {} : { steps }),
      ...(chains === undefined ? {} : { chains }),
    })
    const generators = options.seeds.map((seed) => new torch.Generator('cpu', seed))
    const shape = [1, this.#model.landmarks, ...image.shape.slice(2)]
    try {
      const { logits, chains: each } = await sampler.sample(this.#model, image, {
        noise: () =>
          torch.cat(
            generators.map((generator) => torch.randn(shape, { generator })),
            0,
          ),
        ...(signal ? { signal } : {}),
        ...(onStep ? { onStep } : {}),
      })
      return { mean: logProbabilities(logits), chains: each.map(logProbabilities) }
    } finally {
      for (const generator of generators) generator.dispose()
    }
  }

  async #decode(answer: Answer, batch: number, options: PredictOptions) {
    const { width, height } = this.#config.data
    const { decode } = this.#config.sampling
    const size = { width, height }
    const landmarks = (answer.mean.shape[0] as number) / batch
    const { points, peaks } = await decodePoints({ logProbabilities: answer.mean, ...size }, decode)
    const ofChains =
      answer.chains.length === 1
        ? null
        : await Promise.all(
            answer.chains.map((chain) =>
              decodePoints({ logProbabilities: chain, ...size }, decode),
            ),
          )
    const predictions: CanvasPrediction[] = []
    for (let b = 0; b < batch; b++) {
      const [from, to] = [b * landmarks, (b + 1) * landmarks]
      const unit = options.units?.[b]
      // One image at a time: the spreads need several temporaries of the heatmaps' size.
      const more = await torch.scopeAsync(async () => {
        const own = answer.mean.narrow(0, from, landmarks)
        const maps = { logProbabilities: own, ...size }
        return {
          spreads: unit ? await measureSpread(maps, peaks.slice(from, to), unit) : null,
          heatmaps: options.heatmaps ? ((await own.exp().data()) as Float32Array) : null,
        }
      })
      const chains = ofChains?.map((chain) => chain.points.slice(from, to)) ?? null
      predictions.push({ points: points.slice(from, to), chains, ...more })
    }
    return predictions
  }
}

/** logits: [B, N, H, W] -> [B * N, H * W], the logarithm of the softmax over the pixels. */
function logProbabilities(logits: Tensor): Tensor {
  const [batch = 0, landmarks = 0, height = 0, width = 0] = logits.shape
  return logits
    .to('float32')
    .reshape([batch * landmarks, height * width])
    .logSoftmax(1)
}
