/** What `reproduce` writes as JSON. */

import type { EvaluationResult, PublishedFigures, SeedFigures } from '../../evaluation/index.js'

export interface ReproducedRow {
  readonly id: string
  readonly name: string
  /** Folder of the run that predicted it. */
  readonly run: string
  /** Network evaluations a chain. */
  readonly steps: number
  /** Predictions files, one a seed. */
  readonly predictions: readonly string[]
  /** Of the first seed; null where the split has no annotations. */
  readonly result: Pick<
    EvaluationResult,
    'images' | 'points' | 'missing' | 'mre' | 'sdr' | 'median' | 'over10mm'
  > | null
  /** Over the seeds; null for one seed, and where nothing is random. */
  readonly seeds: SeedFigures | null
  /** What the paper has; null where its figure is not known. */
  readonly paper: PublishedFigures | null
  /** What the paper says in words, or that its figure is not known. */
  readonly note?: string
}

export interface Reproduction {
  readonly table: string
  readonly title: string
  readonly preset: string
  /** Changes of the preset's settings. */
  readonly set: readonly string[]
  readonly data: string
  readonly split: string
  readonly folder: string
  /** Seeds of the sampling, from 0. */
  readonly seeds: number
  readonly rows: readonly ReproducedRow[]
}
