/** The clinical measures as a part of an evaluation: the predictions beside what one doctor reaches against the other. */

import type { Evidence, Part } from '../parts/part.js'
import { replacePoints } from '../references.js'
import { type ClinicalResult, evaluateClinical } from './evaluate.js'
import { formatClinical } from './text.js'

export interface ClinicalComparison {
  predictions: ClinicalResult
  /** The first annotator scored as if it were a prediction, against the second; null where there are not two on these images. */
  human: (ClinicalResult & { name: string }) | null
}

/** null where no measure has a value on both sides of any image. */
export function compareClinical(evidence: Evidence): ClinicalComparison | null {
  const {
    predictions,
    annotators = new Map(),
    clinicalMode: mode = 'corrected',
    measures,
  } = evidence
  const how = { mode, ...(measures && { measures }) }
  const result = evaluateClinical({ ...evidence, ...how })
  if (result.measures.every(({ images }) => images === 0)) return null
  return { predictions: result, human: humanResult() }

  function humanResult(): ClinicalComparison['human'] {
    const [first, second] = [...annotators]
    if (first === undefined || second === undefined) return null
    const [[firstName, firstPoints], [secondName, secondPoints]] = [first, second]
    const images = predictions.images.filter(
      ({ id }) => evidence.annotations.has(id) && firstPoints.has(id) && secondPoints.has(id),
    )
    if (images.length === 0) return null
    const { landmarks = predictions.landmarks } = evidence
    const doctor = replacePoints(
      { ...predictions, images },
      landmarks,
      (id) => firstPoints.get(id) ?? [],
    )
    return {
      name: `${firstName} against ${secondName}`,
      ...evaluateClinical({
        ...evidence,
        ...how,
        predictions: doctor,
        annotations: secondPoints,
      }),
    }
  }
}

export const clinicalPart: Part = {
  key: 'clinical',
  run: (evidence) => {
    const comparison = compareClinical(evidence)
    if (comparison === null) return null
    const { predictions, human } = comparison
    return { value: { ...predictions, human }, text: formatClinical(comparison) }
  },
}
