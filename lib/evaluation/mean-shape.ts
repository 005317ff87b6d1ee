/** The simplest detector there is: the training images' mean position of each landmark, for every image. What a model must beat by far. */

import { LandmarkDiffusionError } from '../errors.js'
import type { Annotations } from './errors.js'
import type { Point } from './predictions.js'
import { mean } from './statistics/index.js'

/** Mean position of each landmark in original pixels over the images that annotate it; null for a landmark without any annotation. */
export function meanShape(training: Annotations): (Point | null)[] {
  const [first] = training.values()
  if (first === undefined) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      'There is no annotated training image to take the mean shape from.',
    )
  }
  return first.map((_, j) => {
    const points = [...training.values()]
      .map((image) => image[j] ?? null)
      .filter((point) => point !== null)
    if (points.length === 0) return null
    return [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  })
}
