/** Rows to compare a model with, scored on the same images and in the same convention: the mean shape, and one doctor against the other (evaluation.md 2.3). */

import { type Annotations, radialErrors } from './errors.js'
import { type EvaluateOptions, type EvaluationResult, evaluate } from './evaluate.js'
import { meanShape } from './mean-shape.js'
import type { ErrorTable } from './metrics.js'
import type { Point, PredictionsFile } from './predictions.js'

/** A detector to compare with. */
export interface Reference {
  name: string
  result: EvaluationResult
  errors: ErrorTable
}

/** The predictions file of a detector that answers `points(id)` for the images of another predictions file. `points` follows `landmarks`. */
export function replacePoints(
  predictions: PredictionsFile,
  landmarks: readonly string[],
  points: (id: string) => readonly (Point | null)[],
): PredictionsFile {
  const { format, version } = predictions
  const images = predictions.images.map(({ id, file, width, height, pixelSize }) => ({
    id,
    file,
    width,
    height,
    pixelSize,
    points: points(id),
  }))
  return { format, version, landmarks, images }
}

function reference(name: string, options: EvaluateOptions): Reference {
  return { name, result: evaluate(options), errors: radialErrors(options) }
}

/** What the mean shape of the training annotations scores where `options` scores a model. */
export function meanShapeReference(options: EvaluateOptions, training: Annotations): Reference {
  const { predictions, landmarks = predictions.landmarks } = options
  const shape = meanShape(training)
  return reference('mean shape', {
    ...options,
    predictions: replacePoints(predictions, landmarks, () => shape),
  })
}

/** What one doctor scores against the other on the images that `options` scores; null where either has annotated none of them. */
export function annotatorReference(
  options: EvaluateOptions,
  junior: Annotations,
  senior: Annotations,
): Reference | null {
  const { predictions, annotations, landmarks = predictions.landmarks } = options
  const images = predictions.images.filter(
    ({ id }) => annotations.has(id) && junior.has(id) && senior.has(id),
  )
  if (images.length === 0) return null
  return reference('junior against senior', {
    ...options,
    annotations: senior,
    truth: 'senior',
    predictions: replacePoints({ ...predictions, images }, landmarks, (id) => junior.get(id) ?? []),
  })
}
