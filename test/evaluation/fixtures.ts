/** Small predictions and annotations made by hand for these tests. */

import type { Annotations, Point, PredictionsFile } from 'landmark-diffusion/evaluation'

type Points = readonly (Point | null)[]

/** A predictions file of the images given by id; 1000 x 1000 pixels of 0.1 mm unless said otherwise. */
export function predictionsOf(
  points: Record<string, Points>,
  landmarks: readonly string[],
  pixelSize: readonly [number, number] | null = [0.1, 0.1],
): PredictionsFile {
  const images = Object.entries(points).map(([id, list]) => ({
    id,
    file: `${id}.png`,
    width: 1000,
    height: 1000,
    pixelSize,
    points: list,
  }))
  return { format: 'landmark-diffusion/predictions', version: 1, landmarks, images }
}

export function annotationsOf(points: Record<string, Points>): Annotations {
  return new Map(Object.entries(points))
}

/** A repeatable uniform generator for random cases, other than the one of the library: a 31-bit Lehmer generator (Park and Miller). */
export function lehmer(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
}
