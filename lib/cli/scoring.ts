/** What `evaluate` and `report` share: their options, and reading predictions and annotations into one comparison. Nothing heavy is loaded before an action runs. */

import { readFile, stat } from 'node:fs/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { AnnotationSource } from '../data/annotations/source.js'
import { LandmarkDiffusionError } from '../errors.js'
import type {
  Annotations,
  ClinicalMode,
  Convention,
  EvaluateOptions,
  Evidence,
  PartResult,
  PredictionsFile,
  Scores,
} from '../evaluation/index.js'
import type { DescribedLandmarkSet } from '../landmarks/landmark-file.js'
import type { LandmarkSet } from '../landmarks/landmark-set.js'
import { positiveNumber, repeatable, say, usageError } from './command.js'

export interface ScoringOptions {
  predictions: string
  annotations?: string
  split?: string
  truth: string
  convention: Convention
  exclude?: string[]
  pixelSize?: [number, number]
  landmarks?: string
  clinical: ClinicalMode
  heatmaps?: string
  ereCutoff?: number
  calibration?: string
  calibrationOverlap?: boolean
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
export function addScoringOptions(command: Command): Command {
  return command
    .requiredOption(
      '--predictions <path>',
      'predictions file that `predict` wrote, or points in another format (docs/formats.md)',
    )
    .option(
      '--split <name>',
      'train, test1, test2, all, or a file of ids (default: every predicted image)',
    )
    .addOption(
      new Option(
        '--truth <name>',
        'whose annotations count; nearest and either judge each point by the better of two annotators',
      )
        .choices(['mean', 'senior', 'junior', 'challenge', 'nearest', 'either'])
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
    .option(
      '--landmarks <file>',
      'landmark file: names, aliases and order of the landmarks, for files that do not say them',
    )
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

/** The ids that a split means among those that are annotated. @throws ERR_USAGE for a name that is neither a split nor a file */
async function idsOfSplit(
  split: string,
  { ids, splits }: AnnotationSource,
): Promise<readonly string[]> {
  if (split === 'all') return ids
  const named = splits.get(split)
  if (named) return named
  const status = await stat(split).catch(() => null)
  if (!status?.isFile() || status.size > 2 ** 20) {
    const names = [...splits.keys()].join(', ')
    throw usageError(
      `There is no split '${split}' and no such file of ids: choose ${names === '' ? 'all' : `${names} or all`}, or give a text file with one id a line.`,
    )
  }
  const annotated = new Set(ids)
  const wanted = (await readFile(split, 'utf8')).split(/[\s,]+/).filter((id) => id !== '')
  const absent = wanted.filter((id) => !annotated.has(id))
  if (absent.length > 0) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${split} lists ids without annotation: ${absent.slice(0, 5).join(', ')}${absent.length > 5 ? ` and ${absent.length - 5} more` : ''}. Correct the list or the annotations folder.`,
    )
  }
  return [...new Set(wanted)]
}

/** One comparison, ready to be printed or drawn. */
export interface Comparison {
  predictions: PredictionsFile
  landmarkSet: LandmarkSet
  landmarks: string[]
  scores: Scores
  /** What else is known: everything that the parts of an evaluation look at. */
  evidence: Evidence
  parts: ReadonlyMap<string, PartResult>
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

/** The truths among `names` that are complete on these images, by name. */
async function readTruths(
  source: AnnotationSource,
  ids: readonly string[],
  names: readonly string[],
): Promise<Map<string, Annotations>> {
  const read = await Promise.all(
    names.map(async (name) => [name, await ifComplete(source.read(ids, name))] as const),
  )
  return new Map(read.flatMap(([name, points]) => (points ? [[name, points]] : [])))
}

/** Says on standard error what of the two files could not be compared. */
function warn({ unpredicted, unmatched, split, images }: Scores['result']): void {
  const list = (names: readonly string[]) =>
    `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`
  if (unpredicted.length > 0)
    say(
      `Warning: ${unpredicted.length} of the ${images + unpredicted.length} annotated images of split ${split} have no prediction and are not scored (${list(unpredicted)}).`,
    )
  const { predictions, annotations } = unmatched
  if (predictions.length > 0)
    say(
      `Warning: ${predictions.length} predicted landmarks have no annotation and are not scored (${list(predictions)}).`,
    )
  if (annotations.length > 0)
    say(
      `Warning: ${annotations.length} annotated landmarks are not predicted and are not scored (${list(annotations)}).`,
    )
}

/** The set that `--landmarks` describes; null without the option. */
export async function landmarkSetOf({
  landmarks,
}: Pick<ScoringOptions, 'landmarks'>): Promise<DescribedLandmarkSet | null> {
  if (landmarks === undefined) return null
  const { readLandmarkSet } = await import('../landmarks/landmark-file.js')
  return readLandmarkSet(landmarks)
}

/** What the uncertainty is evaluated with: stored heatmaps and a calibration set. */
async function uncertaintyOptions(
  options: ScoringOptions,
  { evaluate, source }: { evaluate: EvaluateOptions; source: AnnotationSource },
): Promise<NonNullable<Evidence['uncertainty']>> {
  const evaluation = await import('../evaluation/index.js')
  const { heatmaps: folder, ereCutoff, calibration: name, calibrationOverlap = false } = options
  const heatmaps = folder === undefined ? undefined : evaluation.heatmapFolder(folder)
  const common = { ...(heatmaps && { heatmaps }), ...(ereCutoff !== undefined && { ereCutoff }) }
  if (name === undefined) return common
  const predictions = name.endsWith('.json')
    ? await evaluation.readPredictions(name)
    : evaluate.predictions
  const predicted = new Set(predictions.images.map(({ id }) => id))
  const ids = name.endsWith('.json') ? source.ids : await idsOfSplit(name, source)
  const annotations = await source.read(
    ids.filter((id) => predicted.has(id)),
    evaluate.truth ?? 'mean',
  )
  return {
    ...common,
    calibration: {
      ...evaluate,
      predictions,
      annotations,
      name,
      mayOverlap: calibrationOverlap,
      ...(heatmaps && { heatmaps }),
    },
  }
}

/** Reads predictions and annotations and scores them, the mean shape and the doctors. @throws ERR_DATA, ERR_USAGE */
export async function compare(
  options: ScoringOptions & { annotations: string },
): Promise<Comparison> {
  const evaluation = await import('../evaluation/index.js')
  const { openAnnotations } = await import('../data/annotations/index.js')
  const { split, truth, convention, exclude } = options
  const { readAnyPredictions } = await import('./predictions.js')
  const set = await landmarkSetOf(options)
  const source = await openAnnotations(options.annotations, {
    set,
    ...(options.pixelSize && { pixelSize: options.pixelSize }),
  })
  const { landmarkSet } = source
  const predictions = await readAnyPredictions(options.predictions, {
    set,
    annotated: source.ids,
    pixelSizeOf: (id) => options.pixelSize ?? source.pixelSizes.get(id) ?? source.assumedPixelSize,
  })
  const predicted = new Set(predictions.images.map(({ id }) => id))
  const ids = (await idsOfSplit(split ?? 'all', source)).filter(
    // Without a named split the predictions file says which images are meant.
    (id) => split !== undefined || predicted.has(id),
  )
  const combined = evaluation.combinedTruths.some((name) => name === truth)
  if (!combined && !source.truths.includes(truth))
    throw usageError(
      `${options.annotations} (${source.format}) has no truth '${truth}': choose one of ${source.truths.join(', ')}.`,
    )
  const annotations = await source.read(ids, combined ? 'mean' : truth)
  const landmarks = landmarkSet.landmarks.map(({ name }) => name)
  let { pixelSize } = options
  const { assumedPixelSize, pixelSizes } = source
  const unscaled = predictions.images.some((image) => !image.pixelSize && !pixelSizes.has(image.id))
  if (pixelSize === undefined && unscaled && assumedPixelSize !== null) {
    pixelSize = [...assumedPixelSize]
    say(`The predictions know no pixel size; the data set's is used: ${pixelSize.join(' x ')} mm.`)
  }
  const scored = ids.filter((id) => predicted.has(id))
  const truths = await readTruths(source, scored, source.truths)
  const annotators = await readTruths(source, scored, source.annotators)
  const evaluate: EvaluateOptions = {
    predictions,
    annotations,
    annotators,
    landmarks,
    landmarkSet,
    split: split ?? 'all',
    truth,
    convention,
    pixelSizes,
    ...(exclude && { exclude }),
    ...(pixelSize && { pixelSize }),
  }
  const result = evaluation.evaluate(evaluate)
  warn(result)
  const training = source.splits.has('train')
    ? await ifComplete(source.read(source.splits.get('train') ?? [], combined ? 'mean' : truth))
    : null
  const [junior, senior] = [annotators.get('junior') ?? null, annotators.get('senior') ?? null]
  const references = [
    training && training.size > 0 ? evaluation.meanShapeReference(evaluate, training) : null,
    junior && senior ? evaluation.annotatorReference(evaluate, junior, senior) : null,
  ].filter((row) => row !== null)
  const errors = evaluation.radialErrors(evaluate)
  const uncertainty = combined ? {} : await uncertaintyOptions(options, { evaluate, source })
  const clinicalMode = options.clinical
  const evidence: Evidence = { ...evaluate, errors, truths, clinicalMode, uncertainty }
  return {
    predictions,
    landmarkSet,
    landmarks,
    scores: { result, errors, references },
    evidence,
    parts: await evaluation.evaluateParts(evidence),
    truth: annotations,
    junior,
    senior,
    pixelSize: pixelSize ?? null,
  }
}
