/** Dropout by element, by channel, and for self-normalising networks, as in `torch.nn`. */
import { LandmarkDiffusionError, shown } from '../errors.js'
import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'
import { Module } from './module.js'

/** While training: what is dropped is zero with probability p, the rest is x / (1 - p). In eval mode y = x, the same handle. */
abstract class DropoutLayer extends Module {
  constructor(readonly p = 0.5) {
    super()
    if (typeof p !== 'number' || !(p >= 0 && p <= 1)) {
      throw new LandmarkDiffusionError(
        'ERR_SCHEMA',
        `${this.constructor.name} needs a probability 0..1, not ${shown(p)}.`,
      )
    }
  }

  forward(x: Tensor): Tensor {
    return this.training && this.p > 0 ? this.drop(x) : x
  }

  protected abstract drop(x: Tensor): Tensor

  protected override toStringExtra(): string {
    return `p=${this.p}`
  }
}

/** Drops single elements (Hinton et al. 2012). */
export class Dropout extends DropoutLayer {
  protected drop(x: Tensor): Tensor {
    return torch.dropout(x, this.p, true)
  }
}

/** Drops whole channels (Tompson et al. 2015). x: [B, C, ...]; Dropout1d, Dropout2d and Dropout3d differ in rank alone. */
abstract class ChannelDropout extends DropoutLayer {
  protected drop(x: Tensor): Tensor {
    return torch.featureDropout(x, this.p, true)
  }
}

/** Drops channels of [B, C, L]. */
export class Dropout1d extends ChannelDropout {}

/** Drops channels of [B, C, H, W]. */
export class Dropout2d extends ChannelDropout {}

/** Drops channels of [B, C, D, H, W]. */
export class Dropout3d extends ChannelDropout {}

/** As AlphaDropout, of whole channels. x: [B, C, ...]. */
export class FeatureAlphaDropout extends DropoutLayer {
  protected drop(x: Tensor): Tensor {
    return torch.featureAlphaDropout(x, this.p, true)
  }
}

/** Sets elements to SELU's floor instead of zero, and keeps mean and variance (Klambauer et al. 2017). */
export class AlphaDropout extends DropoutLayer {
  protected drop(x: Tensor): Tensor {
    return torch.alphaDropout(x, this.p, true)
  }
}
