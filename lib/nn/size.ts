/** Sizes per spatial dimension: one number stands for all of them, as in PyTorch's layers. */

import { LandmarkDiffusionError, shown } from '../errors.js'
/** A number for every dimension, or one number for all. */
export type Size = number | readonly number[]

/** `size` as `count` whole numbers of at least `least`. */
export function sizes(
  size: Size,
  count: number,
  { what, least = 0 }: { what: string; least?: number },
): number[] {
  const given = typeof size === 'number' ? new Array<number>(count).fill(size) : size
  const all = Array.isArray(given) && given.length === count ? [...given] : []
  if (all.length !== count || all.some((value) => !Number.isInteger(value) || value < least)) {
    throw new LandmarkDiffusionError(
      'ERR_SCHEMA',
      `${what} wants ${count === 1 ? 'one whole number' : `one whole number or ${count} of them`}, ${least} or more, not ${shown(size)}.`,
    )
  }
  return all
}
