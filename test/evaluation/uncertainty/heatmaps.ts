/** Stored heatmaps made by hand for these tests. */

import type { TiledHeatmaps } from 'landmark-diffusion/evaluation'

export interface MadeHeatmaps {
  width: number
  height: number
  /** Weights of the pixels of each landmark, row by row. */
  weights: readonly (readonly number[])[]
  landmarks?: readonly string[]
  origin?: readonly [number, number]
  step?: readonly [number, number]
}

/** Heatmaps in one tile, stored pixel by pixel. */
export function mapsOf(made: MadeHeatmaps): TiledHeatmaps {
  const { width, height, weights, origin = [0, 0], step = [1, 1] } = made
  const tile = Math.max(width, height)
  const values = new Float32Array(weights.length * tile * tile).fill(Number.NEGATIVE_INFINITY)
  for (const [n, own] of weights.entries()) {
    const hottest = Math.max(...own)
    for (const [i, weight] of own.entries()) {
      const at = (n * tile + Math.floor(i / width)) * tile + (i % width)
      values[at] = Math.log(weight / hottest)
    }
  }
  return {
    landmarks: made.landmarks ?? weights.map((_, n) => `L${n + 1}`),
    width,
    height,
    tile,
    origin,
    step,
    coarse: new Float32Array(weights.length),
    index: Int32Array.from(weights, (_, n) => n),
    values,
  }
}

/** Standard normal numbers (Box and Muller) from uniform ones. */
export function normals(uniform: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
}
