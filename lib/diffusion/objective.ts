/**
 * What training minimises: the paper's x0 objective, its epsilon ablation, and the baseline without
 * diffusion ("Salt & Pepper Heatmaps", arXiv 2407.09192, section 3 and table 1).
 */

import type { Generator, Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { type Batch, heatmapLosses, maskedMse, oneHotHeatmaps } from './heatmaps.js'
import type { NoiseSchedule } from './noise-schedule.js'

/** A network that sees noised heatmaps [B, N, H, W], the image, and the steps t [B]; `UNet` is one. */
export interface Denoiser {
  readonly landmarks: number
  denoise(noised: Tensor, image: Tensor, t: Tensor): Tensor
}

/** A network that sees the image alone; `UNet` with `timeConditioned: false` is one. */
export interface Locator {
  forward(image: Tensor): Tensor
}

/** 0-dim tensors; `loss` carries the graph, the parts are for the log. */
export interface Loss {
  loss: Tensor
  nll: Tensor
  mse: Tensor
}

export interface LossWeights {
  /** Weight of the likelihood; default 1. */
  nllWeight?: number
  /** Weight of the squared error; default 0.01. */
  mseWeight?: number
}

export interface NoisingOptions {
  /** Probability that a landmark's pixel is missing from x_t (not from the target); default 0. */
  channelDropout?: number
  /** Where its tables lie; batches elsewhere cost a copy. Default 'cpu'. */
  device?: string
}

/** Random choices of one loss; drawn in this order where not given. */
export interface Draws {
  /** int64 [B] steps in 0 .. T - 1; uniform where not given. */
  t?: Tensor
  /** [B, N, H, W], standard normal. */
  noise?: Tensor
  /** float32 [B, N]: 1 where the channel of x0 is emptied before noise is added. */
  dropped?: Tensor
  /** Source of what is not given; the default generator when absent. */
  generator?: Generator
}

/** The noised heatmaps of one batch, and what they were made of. */
interface Noised {
  xt: Tensor
  noise: Tensor
  t: Tensor
}

/** x_t = sqrt(alphaBar_t) x0 + sqrt(1 - alphaBar_t) noise, with t drawn per picture. */
class Noiser {
  readonly #timesteps: number
  readonly #channelDropout: number
  readonly #signal: Tensor
  readonly #noise: Tensor

  constructor(schedule: NoiseSchedule, { channelDropout = 0, device = 'cpu' }: NoisingOptions) {
    this.#timesteps = schedule.timesteps
    this.#channelDropout = channelDropout
    const table = (of: 'signal' | 'noise') =>
      torch.keep(
        torch.tensor(
          Float32Array.from({ length: this.#timesteps }, (_, t) => schedule.mix(t)[of]),
          { device },
        ),
      )
    this.#signal = table('signal')
    this.#noise = table('noise')
  }

  apply({ image, target, mask }: Batch, draws: Draws): Noised {
    const [batch = 0, , height = 0, width = 0] = image.shape
    const size = { height, width }
    const random = {
      device: image.device,
      ...(draws.generator ? { generator: draws.generator } : {}),
    }
    const t = draws.t ?? torch.randint(0, this.#timesteps, [batch], { ...random, dtype: 'int64' })
    const x0 = oneHotHeatmaps(target, mask, size)
    const noise = draws.noise ?? torch.randn(x0.shape, random)
    const dropped =
      draws.dropped ??
      (this.#channelDropout > 0
        ? torch.rand(mask.shape, random).lt(this.#channelDropout).to(mask.dtype)
        : null)
    const start = dropped ? oneHotHeatmaps(target, mask.mul(dropped.neg().add(1)), size) : x0
    const per = (table: Tensor) =>
      table.to(image.device).indexSelect(0, t).reshape([batch, 1, 1, 1])
    const xt = start.mul(per(this.#signal)).addcmul_(noise, per(this.#noise))
    return { xt, noise, t }
  }

  dispose(): void {
    this.#signal.dispose()
    this.#noise.dispose()
  }
}

/**
 * loss = nllWeight * NLL + mseWeight * |x0 - f(x_t, y, t)|^2: the network predicts the clean heatmaps
 * as logits; NLL is over the spatial softmax of each channel.
 */
export class X0Objective {
  readonly #noiser: Noiser
  readonly #weights: Required<LossWeights>

  constructor(schedule: NoiseSchedule, options: LossWeights & NoisingOptions = {}) {
    this.#noiser = new Noiser(schedule, options)
    this.#weights = weightsOf(options)
  }

  loss(model: Denoiser, batch: Batch, draws: Draws = {}): Loss {
    return torch.scope(() => {
      const { xt, t } = torch.noGrad(() => this.#noiser.apply(batch, draws))
      return combine(model.denoise(xt, batch.image, t), batch, this.#weights)
    })
  }

  dispose(): void {
    this.#noiser.dispose()
  }
}

/** loss = |noise - f(x_t, y, t)|^2, the ablation that the paper reports as never better than 4 mm; nll is 0. */
export class EpsilonObjective {
  readonly #noiser: Noiser

  constructor(schedule: NoiseSchedule, options: NoisingOptions = {}) {
    this.#noiser = new Noiser(schedule, options)
  }

  loss(model: Denoiser, batch: Batch, draws: Draws = {}): Loss {
    return torch.scope(() => {
      const { xt, noise, t } = torch.noGrad(() => this.#noiser.apply(batch, draws))
      const mse = maskedMse(model.denoise(xt, batch.image, t), noise, batch.mask)
      return { loss: mse, nll: torch.zerosLike(mse).detach(), mse: mse.detach() }
    })
  }

  dispose(): void {
    this.#noiser.dispose()
  }
}

/** The same loss as `X0Objective` on a network that sees the image alone: one pass, no noise. */
export class BaselineObjective {
  readonly #weights: Required<LossWeights>

  constructor(options: LossWeights = {}) {
    this.#weights = weightsOf(options)
  }

  loss(model: Locator, batch: Batch): Loss {
    return torch.scope(() => combine(model.forward(batch.image), batch, this.#weights))
  }

  dispose(): void {}
}

function weightsOf({ nllWeight = 1, mseWeight = 0.01 }: LossWeights): Required<LossWeights> {
  return { nllWeight, mseWeight }
}

function combine(logits: Tensor, batch: Batch, weights: Required<LossWeights>): Loss {
  const { nll, mse } = heatmapLosses(logits, batch)
  const loss = nll.mul(weights.nllWeight).add(mse.mul(weights.mseWeight))
  return { loss, nll: nll.detach(), mse: mse.detach() }
}
