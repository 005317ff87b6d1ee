/** Small things of `torch` that are no operators: limits of dtypes, unique, asTensor. */
import { describe, expect, it } from 'vitest'
import * as torch from '#lib/torch/index.js'

describe('limits of dtypes', () => {
  it('are those of the formats', async () => {
    expect(torch.finfo('float16')).toEqual({
      dtype: 'float16',
      bits: 16,
      eps: 2 ** -10,
      max: 65504,
      min: -65504,
      tiny: 2 ** -14,
    })
    expect(torch.finfo('float64').max).toBe(Number.MAX_VALUE)
    expect(torch.finfo('float64').eps).toBe(Number.EPSILON)
    expect(torch.finfo('bfloat16').eps).toBe(2 ** -7)
    const { max } = torch.finfo('float32')
    expect(
      await torch
        .tensor([max, 2 * max])
        .isfinite()
        .tolist(),
    ).toEqual([true, false])
    expect(torch.iinfo('int8')).toEqual({ dtype: 'int8', bits: 8, max: 127n, min: -128n })
    expect(torch.iinfo('uint16').max).toBe(65535n)
    expect(torch.iinfo('int64').max).toBe(2n ** 63n - 1n)
    expect(() => torch.finfo('int32')).toThrow(/integers have iinfo/)
    expect(() => torch.iinfo('float32')).toThrow(/have finfo/)
  })
})

describe('unique', () => {
  it('gives the different values, ascending, with places and counts', async () => {
    await torch.scopeAsync(async () => {
      const x = torch.tensor([
        [3, 1],
        [3, 2],
      ])
      expect(await (await torch.unique(x)).tolist()).toEqual([1, 2, 3])
      const { inverse, counts } = await torch.uniqueWithCounts(x)
      expect(await inverse.tolist()).toEqual([
        [2n, 0n],
        [2n, 1n],
      ])
      expect(await counts.tolist()).toEqual([1n, 1n, 2n])
      const rows = await torch.unique(
        torch.tensor([
          [1, 2],
          [0, 1],
          [1, 2],
        ]),
        { dim: 0 },
      )
      expect(await rows.tolist()).toEqual([
        [0, 1],
        [1, 2],
      ])
    })
  })
})

describe('asTensor', () => {
  it('gives a tensor back as it is, and makes one of values', async () => {
    await torch.scopeAsync(async () => {
      const x = torch.ones([2])
      expect(torch.asTensor(x)).toBe(x)
      expect(torch.asTensor(x, { dtype: 'float64' }).dtype).toBe('float64')
      expect(await torch.asTensor([1, 2]).tolist()).toEqual([1, 2])
      expect([torch.isTensor(x), torch.isTensor({ shape: [] })]).toEqual([true, false])
    })
  })
})

describe('a misspelt option of an operator', () => {
  it('is refused with the nearest name', () => {
    const image = torch.zeros([1, 1, 3, 3])
    const misspelt = { paddin: 1 } as object
    expect(() => torch.conv2d(image, image, null, misspelt)).toThrow(
      "conv2d has no argument 'paddin'; did you mean 'padding'?",
    )
  })
})
