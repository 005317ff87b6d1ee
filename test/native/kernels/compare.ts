/** How far the results of a kernel are from those of libtorch's own operators on the same values in float64. */
import { expect } from 'vitest'
import * as torch from '#lib/torch/index.js'

export type Tensor = torch.Tensor

/** Of the numbers that were rounded to the dtype: how near a sum over them comes. */
export const tolerances = { float64: 1e-12, float32: 2e-6, bfloat16: 1e-2, float16: 2e-3 } as const

export type Tested = keyof typeof tolerances

/** |actual - expected| / |expected|, Euclidean norms; both empty is 0. */
export async function relative(actual: Tensor, expected: Tensor): Promise<number> {
  expect(actual.shape).toEqual(expected.shape)
  return torch.scopeAsync(async () => {
    const wide = expected.detach().to('float64')
    const difference = actual.detach().to('float64').sub(wide).square().sum().sqrt()
    const norm = wide.square().sum().sqrt()
    const [d, n] = [Number(await difference.item()), Number(await norm.item())]
    return d === 0 ? 0 : d / n
  })
}

export async function expectNear(
  actual: readonly (Tensor | null)[],
  expected: readonly (Tensor | null)[],
  tolerance: number,
): Promise<void> {
  expect(actual.length).toBe(expected.length)
  for (const [i, tensor] of actual.entries()) {
    const other = expected[i] as Tensor | null
    expect(tensor === null).toBe(other === null)
    if (tensor && other)
      expect(await relative(tensor, other), `result ${i}`).toBeLessThan(tolerance)
  }
}

export type Layout = 'contiguous' | 'channels_last' | 'strided'

/** x with other strides: in a memory format, or every second column of something wider. */
export function laidOut(x: Tensor, layout: Layout): Tensor {
  switch (layout) {
    case 'contiguous':
      return x
    case 'channels_last':
      return torch.call('aten::contiguous', [x], { memory_format: 'channels_last' }) as Tensor
    case 'strided':
      return torch.stack([x, x], -1).select(-1, 0)
  }
}
