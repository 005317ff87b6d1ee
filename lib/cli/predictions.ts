/** Predictions for `evaluate`, `report` and `compare`: our own file, that of a run, or anyone's points in a format that annotations may have. */

import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PointTable } from '../data/annotations/index.js'
import { LandmarkDiffusionError } from '../errors.js'
import type { PredictedImage, PredictionsFile } from '../evaluation/index.js'
import type { LandmarkSet } from '../landmarks/landmark-set.js'

interface Known {
  /** Names the landmarks where the file does not. */
  readonly set: LandmarkSet | null
  /** mm per pixel, for formats whose points are in mm. */
  readonly pixelSizeOf: (id: string) => readonly [number, number] | null
  /** Ids of the annotated images, to which the predicted ones are matched. */
  readonly annotated?: readonly string[]
}

/** The size that an image must at least have for its points to lie in it; for formats that do not say it. */
function sizeFor(points: readonly (readonly [number, number] | null)[], axis: 0 | 1): number {
  const farthest = points.reduce((most, point) => Math.max(most, point?.[axis] ?? 0), 0)
  return Math.floor(farthest) + 1
}

/** Points that someone else predicted, as a predictions file. @throws ERR_DATA where several annotators made them */
function predictionsOf(table: PointTable, path: string): PredictionsFile {
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
      width: width ?? sizeFor(points, 0),
      height: height ?? sizeFor(points, 1),
      pixelSize: table.pixelSizes.get(id) ?? null,
      points,
    }
  })
  const landmarks = table.landmarkSet.landmarks.map(({ name }) => name)
  return { format: 'landmark-diffusion/predictions', version: 1, landmarks, images }
}

/** Ids that are the same whole number, as 1 and 001, are the same image: spreadsheets drop leading zeros. */
function matchIds(predictions: PredictionsFile, annotated: readonly string[]): PredictionsFile {
  const exact = new Set(annotated)
  const byNumber = new Map(annotated.map((id) => [/^\d+$/.test(id) ? BigInt(id) : id, id]))
  const taken = new Set(predictions.images.map(({ id }) => id))
  const images = predictions.images.map((image) => {
    if (exact.has(image.id) || !/^\d{1,18}$/.test(image.id)) return image
    const id = byNumber.get(BigInt(image.id))
    if (id === undefined || taken.has(id)) return image
    taken.add(id)
    return { ...image, id }
  })
  return { ...predictions, images }
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
export async function predictionsFileOf(path: string, split?: string): Promise<string> {
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
export async function readAnyPredictions(
  path: string,
  { annotated = [], ...options }: Known,
): Promise<PredictionsFile> {
  const { parseJson, readTextFile } = await import('../outside-file.js')
  const { parsePredictions, predictionsFileKind } = await import('../evaluation/index.js')
  const { isPointJson, readPointTable } = await import('../data/annotations/index.js')
  const status = await stat(path).catch(() => null)
  if (status?.isDirectory() || /\.csv$/i.test(path))
    return matchIds(predictionsOf(await readPointTable(path, options), path), annotated)
  const text = await readTextFile(path, predictionsFileKind)
  const value = parseJson(text, path, predictionsFileKind.what)
  return matchIds(
    isPointJson(value)
      ? predictionsOf(await readPointTable(path, options), path)
      : parsePredictions(value, path),
    annotated,
  )
}
