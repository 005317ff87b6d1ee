/** From canvases to heatmaps and points: the network, its sampler and the decoding, without files and without original pixels. The detector and the validation both go through here; the baseline, one step and many steps too. */

import type { Evaluated, Evaluation, SampleStep } from '../diffusion/index.js'
import type { Point } from '../landmarks/geometry.js'
import type { UNet } from '../model/index.js'
import * as torch from '../torch/index.js'
import type { Config } from '../training/config-schema.js'
import { createSampler, imageToNetwork, withPrecision } from '../training/parts.js'
import { decodePoints, measureSpread, type Spread, splitSpreads } from './decode.js'
import { type HeatmapTiles, tileHeatmaps } from './tiles.js'

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
  /** Probabilities: [N * H * W], a landmark after the other, and in tiles. */
  heatmaps: { data: Float32Array; tiles: HeatmapTiles } | null
}

export interface PredictorOptions {
  /** Runs everything op by op instead of as recorded programs. Results are the same. Default false. */
  eager?: boolean | undefined
}

/** Evaluations of a chain that are queued in one go: the event loop should not notice. */
const ahead = 12

/** What one chain says of each image. */
interface ChainAnswer {
  points: Point[][]
  spreads: Spread[][] | null
}

export class Predictor {
  readonly #model: UNet
  readonly #config: Config
  /** One evaluation of a chain, or all of the baseline; called with every image. */
  readonly #evaluate: torch.Program<[Evaluation], Evaluated> | null
  readonly #locate: torch.Program<[Tensor], Tensor> | null

  /** The model is the caller's; it should be in evaluation mode. Everything is computed on its device. */
  constructor(model: UNet, config: Config, { eager = false }: PredictorOptions = {}) {
    this.#model = model
    this.#config = config
    const baseline = config.diffusion.objective === 'none'
    // Steps and chains may differ from call to call; an evaluation is the same in all of them.
    const sampler = baseline ? null : createSampler(config)
    this.#evaluate =
      eager || !sampler
        ? null
        : torch.program((evaluation: Evaluation) => sampler.evaluate(model, evaluation), { ahead })
    this.#locate =
      eager || !baseline ? null : torch.program((image: Tensor) => this.#located(image))
  }

  #located(image: Tensor): Tensor {
    return torch.scope(() => logProbabilities(this.#model.forward(image)))
  }

  get #device(): string {
    return this.#model.device
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
          .tensor(images, {
            shape: [batch, 1, height, width],
            dtype: 'uint8',
            device: this.#device,
          })
          .to('float32')
        const chains: ChainAnswer[] = []
        const mean = await this.#answer(imageToNetwork(greys, imageRange), options, async (own) => {
          chains.push(await this.#decodeChain(own, batch, options))
        })
        return this.#decode(mean, chains, batch, options)
      }),
    )
  }

  /**
   * image: [B, 1, H, W] -> log-probabilities [B * N, H * W] of the mean over the chains. `onChain` is
   * told of each one where there are several; its tensor is freed after the call, so that the memory
   * does not grow with the number of chains.
   */
  async #answer(
    image: Tensor,
    options: PredictOptions,
    onChain: (logProbabilities: Tensor) => Promise<void>,
  ): Promise<Tensor> {
    const { precision } = this.#config.sampling
    if (this.#config.diffusion.objective === 'none') {
      return withPrecision(
        precision,
        this.#device,
        () => this.#locate?.(image) ?? this.#located(image),
      )
    }
    const { steps, chains = this.#config.sampling.chains, signal, onStep } = options
    const sampler = createSampler(this.#config, { chains: 1, ...(steps && { steps }) })
    const device = this.#device
    // Each device has numbers of its own: drawing them elsewhere would take longer than the network.
    const generators = options.seeds.map((seed) => new torch.Generator(device, seed))
    const shape = [1, this.#model.landmarks, ...image.shape.slice(2)]
    const noise = () =>
      torch.cat(
        generators.map((generator) => torch.randn(shape, { generator, device })),
        0,
      )
    const sample = (chain: number) =>
      withPrecision(precision, device, async () => {
        const { logits } = await sampler.sample(this.#model, image, {
          noise,
          ...(this.#evaluate && { run: this.#evaluate }),
          ...(signal && { signal }),
          ...(onStep && { onStep: (step) => onStep({ ...step, chain }) }),
        })
        return logProbabilities(logits)
      })
    try {
      if (chains === 1) return await sample(0)
      let sum: Tensor | null = null
      for (let chain = 0; chain < chains; chain++) {
        const before: Tensor | null = sum
        sum = await torch.scopeAsync(async () => {
          const own = await sample(chain)
          await onChain(own)
          const probabilities = own.exp()
          return before ? probabilities.add_(before) : probabilities
        })
        before?.dispose()
      }
      // The floor, the smallest normal float32, keeps the logarithm finite.
      return (sum as Tensor)
        .div(chains)
        .clampMin(2 ** -126)
        .log()
    } finally {
      for (const generator of generators) generator.dispose()
    }
  }

  /** How evaluations were run; null with `eager`. */
  get programs(): (torch.ProgramCalls & { graph: string | null }) | null {
    const program = this.#evaluate ?? this.#locate
    return program && { ...program.calls, graph: program.graph }
  }

  /** Frees the programs; the model stays. */
  [Symbol.dispose](): void {
    this.#evaluate?.dispose()
    this.#locate?.dispose()
  }

  /** own: [B * N, H * W] */
  async #decodeChain(own: Tensor, batch: number, options: PredictOptions): Promise<ChainAnswer> {
    const { width, height } = this.#config.data
    const maps = { logProbabilities: own, width, height }
    const { points, peaks } = await decodePoints(maps, this.#config.sampling.decode)
    const spreads: Spread[][] = []
    for (let b = 0; b < batch && options.units; b++) {
      spreads.push(await this.#measure(own, b, peaks, options.units[b] ?? [1, 1]))
    }
    const perImage = points.length / batch
    return {
      points: Array.from({ length: batch }, (_, b) =>
        points.slice(b * perImage, (b + 1) * perImage),
      ),
      spreads: options.units ? spreads : null,
    }
  }

  /** The spreads of one image. One at a time: they need several temporaries of the heatmaps' size. */
  async #measure(
    logProbabilities: Tensor,
    image: number,
    peaks: readonly number[],
    unit: readonly [number, number],
  ): Promise<Spread[]> {
    const { width, height } = this.#config.data
    const count = this.#model.landmarks
    return torch.scopeAsync(() => {
      const own = logProbabilities.narrow(0, image * count, count)
      const maps = { logProbabilities: own, width, height }
      return measureSpread(maps, peaks.slice(image * count, (image + 1) * count), unit)
    })
  }

  async #decode(
    mean: Tensor,
    chains: readonly ChainAnswer[],
    batch: number,
    options: PredictOptions,
  ): Promise<CanvasPrediction[]> {
    const { width, height } = this.#config.data
    const count = this.#model.landmarks
    const { points, peaks } = await decodePoints(
      { logProbabilities: mean, width, height },
      this.#config.sampling.decode,
    )
    const predictions: CanvasPrediction[] = []
    for (let b = 0; b < batch; b++) {
      const unit = options.units?.[b]
      const together = unit ? await this.#measure(mean, b, peaks, unit) : null
      const apart = chains.map(({ spreads }) => spreads?.[b]).filter((own) => own !== undefined)
      const heatmaps = options.heatmaps
        ? await torch.scopeAsync(async () => {
            const own = mean.narrow(0, b * count, count)
            return {
              data: (await own.exp().data()) as Float32Array,
              tiles: await tileHeatmaps({ logProbabilities: own, width, height }),
            }
          })
        : null
      predictions.push({
        points: points.slice(b * count, (b + 1) * count),
        chains: chains.length === 0 ? null : chains.map((chain) => chain.points[b] as Point[]),
        spreads:
          together && unit && apart.length > 0 ? splitSpreads(together, apart, unit) : together,
        heatmaps,
      })
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
