/**
 * Heatmaps as the losses see them ("Salt & Pepper Heatmaps", section 3): one hot pixel per landmark,
 * in {-1, +1} for the diffusion, and as an index for the likelihood.
 */

import type { Tensor } from '../torch/index.js'
import * as torch from '../torch/index.js'

/** One batch of training targets. */
export interface Batch {
  /** [B, C, H, W], clean. */
  image: Tensor
  /** int64 [B, N]: y * W + x of the landmark's pixel; any value where the mask is 0. */
  target: Tensor
  /** float32 [B, N]: 1 where the landmark is known, 0 where it is missing or outside. */
  mask: Tensor
}

/** x0 [B, N, H, W]: +1 at the target pixel, -1 elsewhere; all -1 where `present` [B, N] is 0. */
export function oneHotHeatmaps(
  target: Tensor,
  present: Tensor,
  { height, width }: { height: number; width: number },
): Tensor {
  return torch.scope(() => {
    const [batch = 0, landmarks = 0] = target.shape
    const options = { dtype: present.dtype, device: present.device }
    const flat = torch.full([batch, landmarks, height * width], -1, options)
    flat.scatter_(2, target.clamp(0).unsqueeze(2), present.mul(2).sub(1).unsqueeze(2))
    return flat.reshape([batch, landmarks, height, width])
  })
}

/**
 * What logits [B, N, H, W] come to, on average over the known landmarks and 0-dim, in one pass over them each way:
 * - nll: -log softmax over each channel's pixels, at the target. Of largest logits and sums it needs neither the
 *   float64 nor the 1e-9 floor of the authors' code.
 * - mse: mean over the pixels of (logits - x0)^2, with x0 as `oneHotHeatmaps` gives it.
 */
export function heatmapLosses(
  logits: Tensor,
  { target, mask }: Pick<Batch, 'target' | 'mask'>,
): { nll: Tensor; mse: Tensor } {
  return torch.scope(() => {
    const [nll, mse] = torch.call('landmark_diffusion::spatial_softmax_loss', [
      logits,
      target,
      mask,
    ]) as [Tensor, Tensor]
    return { nll, mse }
  })
}

/** The `nll` of `heatmapLosses`. */
export function spatialNll(logits: Tensor, target: Tensor, mask: Tensor): Tensor {
  return torch.scope(() => heatmapLosses(logits, { target, mask }).nll)
}

/** Mean of (a - b)^2 over all pixels of the known landmarks' channels. a, b: [B, N, H, W] -> 0-dim. */
export function maskedMse(a: Tensor, b: Tensor, mask: Tensor): Tensor {
  return torch.scope(() => {
    const perChannel = a.to('float32').sub(b).square().flatten(2).mean(2)
    return maskedMean(perChannel, mask)
  })
}

/** values, mask: [B, N] -> mean over mask = 1; 0 when nothing is known. */
function maskedMean(values: Tensor, mask: Tensor): Tensor {
  return values.mul(mask).sum().div(mask.sum().clamp(1))
}
