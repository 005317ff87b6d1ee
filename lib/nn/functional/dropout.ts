/** Dropout with PyTorch's defaults: probability 0.5, and on (`torch.nn.functional`). */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'

type Drop = (x: Tensor, p?: number, training?: boolean) => Tensor

const by =
  (drop: (x: Tensor, p: number, training: boolean) => Tensor): Drop =>
  (x, p = 0.5, training = true) =>
    drop(x, p, training)

/** Single elements become zero with probability p, the rest x / (1 - p). */
export const dropout = by(torch.dropout)
/** Whole channels of [B, C, L] become zero. */
export const dropout1d = by(torch.featureDropout)
/** Whole channels of [B, C, H, W] become zero. */
export const dropout2d = by(torch.featureDropout)
/** Whole channels of [B, C, D, H, W] become zero. */
export const dropout3d = by(torch.featureDropout)
/** Elements become SELU's floor; mean and variance stay. */
export const alphaDropout: Drop = (x, p = 0.5, training = false) =>
  torch.alphaDropout(x, p, training)
/** Whole channels become SELU's floor. */
export const featureAlphaDropout: Drop = (x, p = 0.5, training = false) =>
  torch.featureAlphaDropout(x, p, training)
