/** The options of the commands that score predictions: `evaluate`, `report` and `compare`. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ClinicalMode, Convention } from '../evaluation/index.js'
import { positiveNumber, repeatable } from './command.js'

/** What is compared with what, and how. */
export interface PairingOptions {
  split?: string
  truth: string
  convention: Convention
  exclude?: string[]
  pixelSize?: [number, number]
  landmarks?: string
}

/** The same for one predictions file, with all that is said about it. */
export interface ScoringOptions extends PairingOptions {
  predictions: string
  annotations?: string
  clinical: ClinicalMode
  heatmaps?: string
  ereCutoff?: number
  calibration?: string
  calibrationOverlap?: boolean
  /** Only of `evaluate`. */
  repeats?: string[]
}

/** Option reader: one number, or two for x and y, in mm. */
export function pixelSize(text: string): [number, number] {
  const parts = text.split(',').map(positiveNumber)
  const [x, y = x] = parts
  if (x === undefined || y === undefined || parts.length > 2)
    throw new InvalidArgumentError('It must be a number of mm, or two as in 0.1,0.12.')
  return [x, y]
}

/** Option reader: a number from 0 to 1. */
function share(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!(value >= 0 && value <= 1))
    throw new InvalidArgumentError('It must be a number from 0 to 1.')
  return value
}

/** Adds the options that say what is compared with what. */
export function addPairingOptions(command: Command): Command {
  return command
    .option(
      '--split <name>',
      'train, test1, test2, all, or a file of ids (default: every predicted image)',
    )
    .option(
      '--truth <name>',
      'whose annotations count: mean, an annotator (senior, junior, ...), challenge; nearest and either judge each point by the better of two annotators',
      'mean',
    )
    .addOption(
      new Option(
        '--convention <name>',
        'pooled: SD over all points, r <= z; official: averages of per-landmark columns; per-image: SD of image means; strict: pooled, r < z',
      )
        .choices(['pooled', 'official', 'per-image', 'strict'])
        .default('pooled'),
    )
    .option('--exclude <landmark>', 'leave a landmark out; may be repeated', repeatable)
    .option(
      '--pixel-size <mm>',
      'pixel size of images whose predictions do not know it, as 0.1 or 0.1,0.1',
      pixelSize,
    )
    .option(
      '--landmarks <file>',
      'landmark file: names, aliases and order of the landmarks, for files that do not say them',
    )
}

/** Adds the options of scoring one predictions file. */
export function addScoringOptions(command: Command): Command {
  const named = command.requiredOption(
    '--predictions <path>',
    'predictions file that `predict` wrote, or points in another format (docs/formats.md)',
  )
  return addPairingOptions(named)
    .addOption(
      new Option(
        '--clinical <mode>',
        "clinical measures: corrected, or official: the ISBI 2015 organisers' scripts with their quirks",
      )
        .choices(['corrected', 'official'])
        .default('corrected'),
    )
    .option(
      '--heatmaps <dir>',
      'folder that `predict --heatmaps` wrote, for all that needs heatmaps',
    )
    .option(
      '--ere-cutoff <share>',
      'pixels up to this share of the hottest do not count in the expected radial error of stored heatmaps (default: 0.05)',
      share,
    )
    .option(
      '--calibration <name>',
      'other images to fit temperatures and conformal regions on: a split or a file of ids of the same predictions, or another predictions file (.json)',
    )
    .option('--calibration-overlap', 'let the calibration use images that are evaluated too')
}
