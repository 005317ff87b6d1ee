/** What a training step takes from outside: all that JavaScript draws or counts, as tensors. */

import type { Drawn } from '../data/augmentation.js'
import type { Point } from '../landmarks/geometry.js'
import { encodeTargets } from '../landmarks/heatmap.js'
import * as torch from '../torch/index.js'
import type { Config } from './config-schema.js'

type Tensor = torch.Tensor

export interface StepInput {
  /** int64 [B]: which images */
  indices: Tensor
  augmentation: Omit<Drawn, 'points'> | null
  /** As in `Batch` of the heatmaps. */
  target: Tensor
  mask: Tensor
  /** Batches of the accumulation. */
  window: number
  /** Whether there are gradients of earlier batches of it. */
  add: boolean
  /** Whether gradients go out to the other ranks as they come. */
  exchange: boolean
  /** At its end. */
  update: Update | null
}

export interface Update {
  /** 0-dim float64 */
  lr: Tensor
  /** Of the new weights in the averages, 0-dim; null where there are none. */
  share: Tensor | null
}

export function tensorsOf(value: unknown): Tensor[] {
  if (value instanceof torch.Tensor) return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(tensorsOf) : []
}

/** points: [B * N * 2] in network pixels, NaN where missing -> target pixels int64 [B, N] and mask float [B, N]. */
export function targetTensors(
  points: Float64Array,
  batch: number,
  { width, height, rounding }: Config['data'],
  device: string,
): { target: Tensor; mask: Tensor } {
  const list = Array.from({ length: points.length / 2 }, (_, i): Point | null => {
    const [x = Number.NaN, y = Number.NaN] = points.subarray(2 * i)
    return Number.isNaN(x) || Number.isNaN(y) ? null : [x, y]
  })
  const { index } = encodeTargets(list, width, height, rounding)
  const shape = [batch, list.length / batch]
  return {
    target: torch.tensor(
      BigInt64Array.from(index, (pixel) => BigInt(Math.max(0, pixel))),
      { shape, dtype: 'int64', device },
    ),
    mask: torch.tensor(
      Float32Array.from(index, (pixel) => (pixel < 0 ? 0 : 1)),
      { shape, device },
    ),
  }
}
