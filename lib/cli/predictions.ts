/** Predictions for `evaluate`, `report` and `compare`: our own file, that of a run, or anyone's points in a format that annotations may have. */

import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PointTable } from '../data/annotations/index.js'
import { LandmarkDiffusionError } from '../errors.js'
import type { PredictedImage, PredictionsFile } from '../evaluation/index.js'
import type { LandmarkSet } from '../landmarks/landmark-set.js'
import { say } from './command.js'

interface Known {
  /** Names the landmarks where the file does not. */
  readonly set: LandmarkSet | null
  /** mm per pixel, for formats whose points are in mm. */
  readonly pixelSizeOf: (id: string) => readonly [number, number] | null
  /** Ids of the annotated images, to which the predicted ones are matched. */
  readonly annotated?: readonly string[]
  /** Names of the annotated landmarks in their order, for predictions that only number theirs. */
  readonly landmarks?: readonly string[]
  /** The split that is meant, after which a run's predictions file is named. */
  readonly split?: string | undefined
}

/** Points that someone else predicted, as a predictions file. @throws ERR_DATA where several annotators made them */
async function predictionsOf(table: PointTable, path: string): Promise<PredictionsFile> {
  const { extentOf } = await import('../evaluation/predictions.js')
  const [[, byId] = ['', new Map()], second] = [...table.annotators]
  if (second)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${path} has points by ${[...table.annotators.keys()].join(' and ')}; predictions are of one detector. Give the points of one.`,
    )
  const images = [...byId].map(([id, points]): PredictedImage => {
    const { file = id, width, height } = table.images.get(id) ?? {}
    return {
      id,
      file,
      width: width ?? extentOf(points, 0),
      height: height ?? extentOf(points, 1),
      pixelSize: table.pixelSizes.get(id) ?? null,
      points,
    }
  })
  const landmarks = table.landmarkSet.landmarks.map(({ name }) => name)
  return { format: 'landmark-diffusion/predictions', version: 1, landmarks, images }
}

/** What an id may have been made of: the file's name without folder and ending; numbers without leading zeros, and without the zeros of a fraction, as tables of floats have them. */
function plainId(id: string, idOfFile: (path: string) => string): string {
  const name = idOfFile(id)
  const number = /^(\d{1,18})(?:\.0{1,9})?$/.exec(name)?.[1]
  return number === undefined ? name : String(BigInt(number))
}

/** Gives images the ids of the annotated ones that they mean: 1 and 001 are the same image, as are 151 and Test1Data/151.bmp. */
async function matchIds(
  predictions: PredictionsFile,
  annotated: readonly string[],
): Promise<PredictionsFile> {
  const { idOfFile } = await import('../data/annotations/table.js')
  const exact = new Set(annotated)
  const byPlainId = new Map(annotated.map((id) => [plainId(id, idOfFile), id]))
  const taken = new Set(predictions.images.map(({ id }) => id))
  const images = predictions.images.map((image) => {
    if (exact.has(image.id)) return image
    const id = [image.id, image.file]
      .map((name) => byPlainId.get(plainId(name, idOfFile)))
      .find((known) => known !== undefined)
    if (id === undefined || taken.has(id)) return image
    taken.add(id)
    return { ...image, id }
  })
  return { ...predictions, images }
}

/** Names such as 1 ... 19, p1 ... p19 or L01 ... L19 only count: they are taken in the order of the annotated landmarks, if they count these. */
function matchNumbers(predictions: PredictionsFile, names: readonly string[]): PredictionsFile {
  if (predictions.landmarks.every((name) => names.includes(name))) return predictions
  const numbers = predictions.landmarks.map(
    (name) => /^[a-z_ -]{0,20}?0*(\d{1,4})$/i.exec(name)?.[1],
  )
  const counted = new Set(numbers.map(Number))
  const first = Math.min(...counted)
  const complete =
    names.length > 1 &&
    predictions.landmarks.length === names.length &&
    names.every((_, i) => counted.has(first + i)) &&
    (first === 0 || first === 1)
  if (!complete) return predictions
  const landmarks = numbers.map((number) => names[Number(number) - first] as string)
  say(
    `The predictions number their landmarks; taken in the annotations' order: ${predictions.landmarks[0]} is ${landmarks[0]}, ${predictions.landmarks.at(-1)} is ${landmarks.at(-1)}.`,
  )
  return { ...predictions, landmarks }
}

/** Whether a file begins like a predictions file; only its first bytes are read. */
async function looksLikePredictions(path: string): Promise<boolean> {
  const handle = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(200), 0, 200, 0)
    return buffer.toString('utf8', 0, bytesRead).includes('"landmark-diffusion/predictions"')
  } finally {
    await handle.close()
  }
}

/**
 * The predictions file that a path means: the one in a run's folder, named after the split or the only one, else the path.
 * @throws ERR_DATA where a run has none, or several of which none is of the split
 */
async function predictionsFileOf(path: string, split?: string): Promise<string> {
  const names = await readdir(path).catch((): string[] => [])
  if (!names.includes('config.yaml')) return path
  const files: string[] = []
  for (const name of names.filter((each) => each.endsWith('.json')))
    if (await looksLikePredictions(join(path, name))) files.push(name)
  const [only] = files
  const wanted = `${split ?? 'predictions'}.json`
  if (files.includes(wanted)) return join(path, wanted)
  if (only !== undefined && files.length === 1) return join(path, only)
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    only === undefined
      ? `The run ${path} has no predictions yet. Make them: landmark-diffusion predict DATA --split ${split ?? 'test1'} --run ${path} --out ${join(path, `${split ?? 'test1'}.json`)}`
      : `The run ${path} has several predictions files, ${files.join(', ')}, and none is called ${wanted}. Give one of them, or a --split that one is named after.`,
  )
}

/** @throws ERR_DATA naming the file and the place in it */
export async function readAnyPredictions(path: string, known: Known): Promise<PredictionsFile> {
  const { annotated = [], landmarks = [], split } = known
  const read = await readUnmatched(await predictionsFileOf(path, split), known)
  return matchIds(matchNumbers(read, landmarks), annotated)
}

/** Predictions with the ids and names of their file. */
async function readUnmatched(path: string, known: Known): Promise<PredictionsFile> {
  const { parseJson, readTextFile } = await import('../outside-file.js')
  const { parsePredictions, predictionsFileKind } = await import('../evaluation/index.js')
  const { isPointJson, readPointTable } = await import('../data/annotations/index.js')
  const pointTable = async () => predictionsOf(await readPointTable(path, known), path)
  const status = await stat(path).catch(() => null)
  if (status?.isDirectory() || /\.csv$/i.test(path)) return pointTable()
  const text = await readTextFile(path, predictionsFileKind)
  const value = parseJson(text, path, predictionsFileKind.what)
  return isPointJson(value) ? pointTable() : parsePredictions(value, path)
}
