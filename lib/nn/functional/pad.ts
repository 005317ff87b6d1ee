/** Elements around a tensor (`torch.nn.functional.pad`). */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'
import { type Optional, optional } from '../optional.js'

/** What lies outside, other than a constant. */
export type PadMode = 'reflect' | 'replicate' | 'circular'

export interface PadOptions {
  /** Default 'constant'. */
  mode?: 'constant' | PadMode
  /** Of mode 'constant'; default 0. */
  value?: number
}

/** `padding`: elements before and after the last dimension, then the one before it, and so on. Negative ones cut. */
export function pad(
  x: Tensor,
  padding: readonly number[],
  ...rest: Optional<[mode: 'constant' | PadMode, value: number], PadOptions>
): Tensor {
  const { mode, value } = optional<Required<PadOptions>>('pad', rest, {
    mode: 'constant',
    value: 0,
  })
  return torch.pad(x, padding, mode, mode === 'constant' ? value : null)
}
