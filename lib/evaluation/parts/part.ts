/** What an evaluation tells beyond its main figures comes in parts: each is a key of the JSON result and a table for a terminal. */

import type { ClinicalMode, Measure } from '../clinical/index.js'
import type { Annotations } from '../errors.js'
import type { EvaluateOptions } from '../evaluate.js'
import type { ErrorTable } from '../metrics.js'
import type { PredictionsFile } from '../predictions.js'
import type { UncertaintyOptions } from '../uncertainty/evaluate.js'
import type { UncertaintySource } from '../uncertainty/points.js'

/** What a part may look at. */
export interface Evidence extends EvaluateOptions {
  /** The errors from the chosen truth, with the excluded landmarks left out. */
  readonly errors: ErrorTable
  /** Every truth that the annotations know by name (mean, senior, junior, challenge), to be set side by side. */
  readonly truths?: ReadonlyMap<string, Annotations>
  /** The same images predicted with other seeds of the noise. */
  readonly repeats?: readonly PredictionsFile[]
  /** How the clinical measures are read and their rates averaged; 'corrected' by default. */
  readonly clinicalMode?: ClinicalMode
  /** Measures of the landmark set, instead of the eight of ISBI 2015. */
  readonly measures?: readonly Measure[]
  /** Stored heatmaps, and what the uncertainty is calibrated on. */
  readonly uncertainty?: UncertaintyOptions & Pick<UncertaintySource, 'heatmaps'>
}

export interface PartResult {
  /** What `evaluate --json` shows under the part's key. */
  readonly value: object
  /** The same for a terminal: lines, the first of them a title, no line break at the end. */
  readonly text: string
}

export interface Part {
  /** The key in the JSON result, and the name that `evaluate --tables` takes. */
  readonly key: string
  /** null where the inputs do not have what the part is about. */
  readonly run: (evidence: Evidence) => PartResult | null | Promise<PartResult | null>
}
