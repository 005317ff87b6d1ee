/** Power-average pooling (`torch.nn.functional.lp_pool1d` and `lp_pool2d`). */
import type { Tensor } from '../../torch/index.js'
import * as torch from '../../torch/index.js'

/**
 * (sum x^power over each window)^(1 / power), a negative sum counting as zero.
 * x: [B, C, L] or [B, C, H, W], by the length of `kernel`.
 */
export function lpPool(
  x: Tensor,
  power: number,
  kernel: readonly number[],
  { stride = kernel }: { stride?: readonly number[] } = {},
): Tensor {
  const average = kernel.length === 1 ? torch.avgPool1d : torch.avgPool2d
  const elements = kernel.reduce((a, b) => a * b, 1)
  return torch.scope(() => {
    const mean = average(x.pow(power), kernel, stride)
    return mean
      .sign()
      .mul(mean.abs().relu())
      .mul(elements)
      .pow(1 / power)
  })
}
