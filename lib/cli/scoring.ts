/** What `evaluate` and `report` share: their options, and reading predictions and annotations into one comparison. Nothing heavy is loaded before an action runs. */

import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { IsbiSplit, Truth } from '../data/isbi2015.js'
import { LandmarkDiffusionError } from '../errors.js'
import type {
  Annotations,
  Convention,
  EvaluateOptions,
  PredictionsFile,
  Scores,
} from '../evaluation/index.js'
import { positiveNumber, repeatable, say, usageError } from './command.js'

export interface ScoringOptions {
  predictions: string
  annotations?: string
  split?: string
  truth: Truth
  convention: Convention
  exclude?: string[]
  pixelSize?: [number, number]
}

/** Option reader: one number, or two for x and y, in mm. */
function pixelSize(text: string): [number, number] {
  const parts = text.split(',').map(positiveNumber)
  const [x, y = x] = parts
  if (x === undefined || y === undefined || parts.length > 2)
    throw new InvalidArgumentError('It must be a number of mm, or two as in 0.1,0.12.')
  return [x, y]
}

/** Adds the options that say what is compared with what. */
export function addScoringOptions(command: Command): Command {
  return command
    .requiredOption('--predictions <file>', 'predictions file that `predict` wrote')
    .option(
      '--split <name>',
      'train, test1, test2, all, or a file of ids (default: every predicted image)',
    )
    .addOption(
      new Option('--truth <name>', 'whose annotations count')
        .choices(['mean', 'senior', 'junior', 'challenge'])
        .default('mean'),
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
}

/** The ids that a split means among those that are annotated. @throws ERR_USAGE for a name that is neither a split nor a file */
async function idsOfSplit(split: string, annotated: ReadonlySet<string>): Promise<string[]> {
  const { isbiSplits } = await import('../data/isbi2015.js')
  const sorted = [...annotated].sort((a, b) => Number(a) - Number(b))
  if (split === 'all') return sorted
  if (Object.hasOwn(isbiSplits, split)) {
    const { first, last } = isbiSplits[split as IsbiSplit]
    return sorted.filter((id) => Number(id) >= first && Number(id) <= last)
  }
  const status = await stat(split).catch(() => null)
  if (!status?.isFile() || status.size > 2 ** 20) {
    throw usageError(
      `There is no split '${split}' and no such file of ids: choose train, test1, test2 or all, or give a text file with one id a line.`,
    )
  }
  const ids = (await readFile(split, 'utf8')).split(/[\s,]+/).filter((id) => id !== '')
  const absent = ids.filter((id) => !annotated.has(id))
  if (absent.length > 0) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${split} lists ids without annotation: ${absent.slice(0, 5).join(', ')}${absent.length > 5 ? ` and ${absent.length - 5} more` : ''}. Correct the list or the annotations folder.`,
    )
  }
  return [...new Set(ids)]
}

/** The folder that holds AnnotationsByMD, from itself or from that folder. */
function dataRoot(annotations: string): string {
  const folder = resolve(annotations)
  return basename(folder) === 'AnnotationsByMD' ? dirname(folder) : folder
}

/** One comparison, ready to be printed or drawn. */
export interface Comparison {
  predictions: PredictionsFile
  landmarks: string[]
  scores: Scores
  truth: Annotations
  junior: Annotations | null
  senior: Annotations | null
  /** What stands in where the predictions know no pixel size. */
  pixelSize: [number, number] | null
}

/** Annotations that only serve for comparison: where they are incomplete, the comparison is left out. */
async function ifComplete(reading: Promise<Annotations>): Promise<Annotations | null> {
  return reading.catch((error: unknown) => {
    if (error instanceof LandmarkDiffusionError) return null
    throw error
  })
}

/** Reads predictions and annotations and scores them, the mean shape and the doctors. @throws ERR_DATA, ERR_USAGE */
export async function compare(
  options: ScoringOptions & { annotations: string },
): Promise<Comparison> {
  const evaluation = await import('../evaluation/index.js')
  const data = await import('../data/isbi2015.js')
  const { cephalometric19 } = await import('../landmarks/landmark-set.js')
  const { split, truth, convention, exclude } = options
  const predictions = await evaluation.readPredictions(options.predictions)
  const root = dataRoot(options.annotations)
  const annotated = await data.annotatedIds(root)
  if (annotated.size === 0) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `There is no annotation (400_senior/NNN.txt or 400_junior/NNN.txt) in ${join(root, 'AnnotationsByMD')}. Give the data set's folder, or its AnnotationsByMD folder.`,
    )
  }
  const predicted = new Set(predictions.images.map(({ id }) => id))
  const ids = (await idsOfSplit(split ?? 'all', annotated)).filter(
    // Without a named split the predictions file says which images are meant.
    (id) => split !== undefined || predicted.has(id),
  )
  const annotations = await data.readAnnotations(root, ids, truth)
  const landmarks = cephalometric19.landmarks.map(({ name }) => name)
  let { pixelSize } = options
  if (pixelSize === undefined && predictions.images.some((image) => image.pixelSize === null)) {
    const known = (await data.readDatasetFile(root)).pixelSize
    if (known !== null) {
      pixelSize = [...known]
      say(`The predictions know no pixel size; the data set's is used: ${known.join(' x ')} mm.`)
    }
  }
  const evaluate: EvaluateOptions = {
    predictions,
    annotations,
    landmarks,
    split: split ?? 'all',
    truth,
    convention,
    ...(exclude && { exclude }),
    ...(pixelSize && { pixelSize }),
  }
  const result = evaluation.evaluate(evaluate)
  if (result.unpredicted.length > 0) {
    say(
      `Warning: ${result.unpredicted.length} of the ${annotations.size} annotated images of split ${result.split} have no prediction and are not scored (${result.unpredicted.slice(0, 5).join(', ')}${result.unpredicted.length > 5 ? ', ...' : ''}).`,
    )
  }
  const scoredIds = result.perImage.map(({ id }) => id)
  const [training, junior, senior] = await Promise.all([
    ifComplete(
      idsOfSplit('train', annotated).then((train) => data.readAnnotations(root, train, truth)),
    ),
    ifComplete(data.readAnnotations(root, scoredIds, 'junior')),
    ifComplete(data.readAnnotations(root, scoredIds, 'senior')),
  ])
  const references = [
    training && training.size > 0 ? evaluation.meanShapeReference(evaluate, training) : null,
    junior && senior ? evaluation.annotatorReference(evaluate, junior, senior) : null,
  ].filter((row) => row !== null)
  const errors = evaluation.radialErrors(evaluate)
  return {
    predictions,
    landmarks,
    scores: { result, errors, references },
    truth: annotations,
    junior,
    senior,
    pixelSize: pixelSize ?? null,
  }
}
