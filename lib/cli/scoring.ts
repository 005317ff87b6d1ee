/** Reading predictions and annotations, and scoring them, for `evaluate`, `report` and `compare`. Nothing heavy is loaded before an action runs. */

import { readFile, stat } from 'node:fs/promises'
import type { AnnotationSource } from '../data/annotations/source.js'
import { LandmarkDiffusionError } from '../errors.js'
import type {
  Annotations,
  EvaluateOptions,
  Evidence,
  PartResult,
  PredictionsFile,
  Scores,
} from '../evaluation/index.js'
import type { DescribedLandmarkSet } from '../landmarks/landmark-file.js'
import type { LandmarkSet } from '../landmarks/landmark-set.js'
import { say, usageError } from './command.js'
import type { PairingOptions, ScoringOptions } from './scoring-options.js'

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

/** Predictions with everything that is said of them, ready to be printed or drawn. */
export interface ScoredPredictions {
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

/** Says where the predictions contradict the pixel size that the data set is assumed to have; theirs counts. */
function warnOfPixelSizes(
  { images }: PredictionsFile,
  assumed: AnnotationSource['assumedPixelSize'],
): void {
  const other = images.find(
    ({ pixelSize }) =>
      assumed && pixelSize?.some((mm, axis) => Math.abs(mm / (assumed[axis] ?? mm) - 1) > 1e-3),
  )
  if (other)
    say(
      `Warning: the predictions say ${other.pixelSize?.join(' x ')} mm a pixel (image ${other.id}), the data set ${assumed?.join(' x ')} mm. The predictions count; points must be in pixels of the original images.`,
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

/** Annotations that predictions can be scored against, with the landmark set that `--landmarks` describes. */
export interface OpenAnnotations {
  source: AnnotationSource
  set: DescribedLandmarkSet | null
}

/** Whether a truth is made of several annotators' points, so that no list of points stands for it. */
async function isCombined(truth: string): Promise<boolean> {
  const { combinedTruths } = await import('../evaluation/index.js')
  return combinedTruths.some((name) => name === truth)
}

/** @throws ERR_USAGE for a truth that the annotations do not have; ERR_DATA */
export async function openTruth(
  options: PairingOptions & { annotations: string },
): Promise<OpenAnnotations> {
  const { openAnnotations } = await import('../data/annotations/index.js')
  const { annotations, truth, pixelSize } = options
  const set = await landmarkSetOf(options)
  const source = await openAnnotations(annotations, { set, ...(pixelSize && { pixelSize }) })
  if (!(await isCombined(truth)) && !source.truths.includes(truth))
    throw usageError(
      `${annotations} (${source.format}) has no truth '${truth}': choose one of ${source.truths.join(', ')}.`,
    )
  return { source, set }
}

/** Everything that the errors of one predictions file are made of. */
export interface ReadPairing extends EvaluateOptions {
  landmarks: readonly string[]
  landmarkSet: LandmarkSet
  annotators: ReadonlyMap<string, Annotations>
}

/** Reads a predictions file, or that of a run's folder, and the annotations of the images that are meant. @throws ERR_DATA, ERR_USAGE */
export async function readPairing(
  path: string,
  { source, set }: OpenAnnotations,
  options: PairingOptions,
): Promise<ReadPairing> {
  const { readAnyPredictions } = await import('./predictions.js')
  const { split, truth, convention, exclude } = options
  const { landmarkSet, assumedPixelSize, pixelSizes } = source
  const predictions = await readAnyPredictions(path, {
    split,
    set,
    annotated: source.ids,
    landmarks: landmarkSet.landmarks.map(({ name }) => name),
    pixelSizeOf: (id) => options.pixelSize ?? pixelSizes.get(id) ?? assumedPixelSize,
  })
  const predicted = new Set(predictions.images.map(({ id }) => id))
  const ids = (await idsOfSplit(split ?? 'all', source)).filter(
    // Without a named split the predictions file says which images are meant.
    (id) => split !== undefined || predicted.has(id),
  )
  const annotations = await source.read(ids, (await isCombined(truth)) ? 'mean' : truth)
  let { pixelSize } = options
  const unscaled = predictions.images.some((image) => !image.pixelSize && !pixelSizes.has(image.id))
  if (pixelSize === undefined && unscaled && assumedPixelSize !== null) {
    pixelSize = [...assumedPixelSize]
    say(`The predictions know no pixel size; the data set's is used: ${pixelSize.join(' x ')} mm.`)
  }
  warnOfPixelSizes(predictions, assumedPixelSize)
  const scored = ids.filter((id) => predicted.has(id))
  return {
    predictions,
    annotations,
    annotators: await readTruths(source, scored, source.annotators),
    landmarks: landmarkSet.landmarks.map(({ name }) => name),
    landmarkSet,
    split: split ?? 'all',
    truth,
    convention,
    pixelSizes,
    ...(exclude && { exclude }),
    ...(pixelSize && { pixelSize }),
  }
}

/** Reads predictions and annotations and scores them, the mean shape and the doctors. @throws ERR_DATA, ERR_USAGE */
export async function scorePredictions(
  options: ScoringOptions & { annotations: string },
): Promise<ScoredPredictions> {
  const evaluation = await import('../evaluation/index.js')
  const opened = await openTruth(options)
  const { source } = opened
  const pairing = await readPairing(options.predictions, opened, options)
  const { predictions, annotations, annotators, landmarkSet } = pairing
  const combined = await isCombined(options.truth)
  const result = evaluation.evaluate(pairing)
  warn(result)
  const training = source.splits.has('train')
    ? await ifComplete(
        source.read(source.splits.get('train') ?? [], combined ? 'mean' : options.truth),
      )
    : null
  const [junior, senior] = [annotators.get('junior') ?? null, annotators.get('senior') ?? null]
  const references = [
    training && training.size > 0 ? evaluation.meanShapeReference(pairing, training) : null,
    junior && senior ? evaluation.annotatorReference(pairing, junior, senior) : null,
  ].filter((row) => row !== null)
  const errors = evaluation.radialErrors(pairing)
  const repeats: PredictionsFile[] = []
  for (const path of options.repeats ?? [])
    repeats.push((await readPairing(path, opened, options)).predictions)
  const evidence: Evidence = {
    ...pairing,
    errors,
    truths: await readTruths(
      source,
      result.perImage.map(({ id }) => id),
      source.truths,
    ),
    repeats,
    ...(opened.set &&
      opened.set.measures.length > 0 && {
        measures: evaluation.describedMeasures(opened.set.measures),
      }),
    clinicalMode: options.clinical,
    uncertainty: combined ? {} : await uncertaintyOptions(options, { evaluate: pairing, source }),
  }
  return {
    predictions,
    landmarkSet,
    landmarks: [...pairing.landmarks],
    scores: { result, errors, references },
    evidence,
    parts: await evaluation.evaluateParts(evidence),
    truth: annotations,
    junior,
    senior,
    pixelSize: pairing.pixelSize ? [...pairing.pixelSize] : null,
  }
}
