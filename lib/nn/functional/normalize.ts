/** Scaling by neighbours, by a norm or by statistics (`torch.nn.functional`). */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { wantTensor } from '../../torch/wants.js'
import { type Optional, optional } from '../optional.js'
import { pad } from './pad.js'

export interface NormalizeOptions {
  /** Which norm; default 2. */
  p?: number
  /** Dimension to reduce; default 1. */
  dim?: number
  /** Least divisor; default 1e-12. */
  eps?: number
}

/** x / max(|x|_p, eps) along `dim`. */
export function normalize(
  x: Tensor,
  ...rest: Optional<[p: number, dim: number, eps: number], NormalizeOptions>
): Tensor {
  const { p, dim, eps } = optional('normalize', rest, { p: 2, dim: 1, eps: 1e-12 })
  return torch.scope(() =>
    torch.div(x, torch.linalg.vectorNorm(x, p, [dim], { keepdim: true }).clampMin(eps).expandAs(x)),
  )
}

/** x / (k + alpha mean(x^2 over `size` neighbouring channels))^beta. x: [B, C, ...]. */
export function localResponseNorm(
  x: Tensor,
  size: number,
  ...rest: Optional<
    [alpha: number, beta: number, k: number],
    { alpha?: number; beta?: number; k?: number }
  >
): Tensor {
  const { alpha, beta, k } = optional('localResponseNorm', rest, { alpha: 1e-4, beta: 0.75, k: 1 })
  wantTensor(x, 'the input')
  return torch.scope(() => {
    const [batch = 0, channels = 0] = x.shape
    const square = x.square().reshape([batch, 1, channels, -1])
    const border = [0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)]
    const mean = torch.avgPool2d(pad(square, border), [size, 1], [1, 1]).reshape([...x.shape])
    return x.div(mean.mul(alpha).add(k).pow(beta))
  })
}

export interface BatchStatisticsOptions {
  /** [C], multiplies; default none. */
  weight?: Tensor | null
  /** [C], is added; default none. */
  bias?: Tensor | null
  /** Share of the new statistics in the running ones; default 0.1. */
  momentum?: number
  /** Added to the variance; default 1e-5. */
  eps?: number
}

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias per channel. While training, statistics of x, which move the
 * running ones; else the running ones, [C]. x: [B, C, ...].
 */
export function batchNorm(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  ...rest: Optional<
    [weight: Tensor | null, bias: Tensor | null, training: boolean, momentum: number, eps: number],
    BatchStatisticsOptions & { training?: boolean }
  >
): Tensor {
  const { weight, bias, training, momentum, eps } = optional<
    Required<BatchStatisticsOptions & { training: boolean }>
  >('batchNorm', rest, { weight: null, bias: null, training: false, momentum: 0.1, eps: 1e-5 })
  return torch.batchNorm(x, weight, bias, runningMean, runningVar, training, momentum, eps, true)
}

/** As `batchNorm`, by the statistics of each sample, or the running ones where `useInputStats` is false. */
export function instanceNorm(
  x: Tensor,
  ...rest: Optional<
    [
      runningMean: Tensor | null,
      runningVar: Tensor | null,
      weight: Tensor | null,
      bias: Tensor | null,
      useInputStats: boolean,
      momentum: number,
      eps: number,
    ],
    BatchStatisticsOptions & {
      runningMean?: Tensor | null
      runningVar?: Tensor | null
      useInputStats?: boolean
    }
  >
): Tensor {
  const { runningMean, runningVar, weight, bias, useInputStats, momentum, eps } = optional<
    Required<BatchStatisticsOptions> & {
      runningMean: Tensor | null
      runningVar: Tensor | null
      useInputStats: boolean
    }
  >('instanceNorm', rest, {
    runningMean: null,
    runningVar: null,
    weight: null,
    bias: null,
    useInputStats: true,
    momentum: 0.1,
    eps: 1e-5,
  })
  return torch.instanceNorm(
    x,
    weight,
    bias,
    runningMean,
    runningVar,
    useInputStats,
    momentum,
    eps,
    true,
  )
}
