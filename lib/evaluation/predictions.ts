/** The predictions file: what `predict` writes and `evaluate` and `report` read. Its schema, and reading and writing it safely. */

import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { describeIssues, type FileKind, parseJson, readTextFile } from '../outside-file.js'
import { replaceFile } from './files.js'

/** [x, y] in pixels of the original image: x right, y down, the centre of the first pixel at (0, 0). */
export type Point = readonly [number, number]

/** How sure the model is of one point. */
export interface PointUncertainty {
  /** Expected radial error in mm (or pixels where the pixel size is unknown). */
  ere?: number
  /** 2 x 2 covariance. */
  covariance?: readonly (readonly [number, number])[]
  /** Probability of the hottest pixel of the heatmap. */
  confidence?: number
  /** Mean of the heatmap, the centre of the covariance, in pixels of the original; the point where it is absent. */
  mean?: Point
  /** The covariance's parts: mean of the single chains' covariances, and covariance of their means. */
  within?: readonly (readonly [number, number])[]
  between?: readonly (readonly [number, number])[]
  [key: string]: unknown
}

/** One picture of a reverse chain: the state after the step to time `t`, as an image file beside the predictions file. */
export interface FilmFrame {
  t: number
  /** Path relative to the folder of the predictions file; a path that leaves this folder is refused by the report. */
  file: string
  [key: string]: unknown
}

export interface PredictedImage {
  id: string
  file: string
  /** Size of the original image in pixels. */
  width: number
  height: number
  /** [x, y] in mm per pixel; null when unknown. */
  pixelSize: readonly [number, number] | null
  /** One entry a landmark, in the order of the file's `landmarks`; null: not found. */
  points: readonly (Point | null)[]
  uncertainty?: readonly (PointUncertainty | null)[]
  /** The points of each of several sampled chains. */
  chains?: readonly (readonly (Point | null)[])[]
  filmstrip?: readonly FilmFrame[]
  /** Size of a pixel of the heatmaps in pixels of the original, to which `confidence` refers. */
  heatmapPixel?: readonly [number, number]
  [key: string]: unknown
}

export interface PredictionsFile {
  format: 'landmark-diffusion/predictions'
  version: 1
  landmarks: readonly string[]
  images: readonly PredictedImage[]
  [key: string]: unknown
}

const maximumImageSide = 100_000
const coordinate = z
  .number()
  .refine((value) => Math.abs(value) <= 1e6, 'is more than a million pixels from the image')
const point = z.tuple([coordinate, coordinate]).nullable()
// Tuples, because they look at their length before their entries.
const matrix = z.tuple([z.tuple([z.number(), z.number()]), z.tuple([z.number(), z.number()])])
const imageSide = z.int().min(1).max(maximumImageSide)
const millimetres = z.number().positive().max(1000)

// What other software leaves out, or writes more simply, and what can only mean one thing, is read too: ids and names that
// are numbers, one number as pixel size, no file name, no image size.
const word = z.preprocess(
  (value) => (Number.isSafeInteger(value) ? String(value) : value),
  z.string().min(1).max(1000),
)
const pixelSize = z.preprocess(
  (value) => (typeof value === 'number' ? [value, value] : (value ?? null)),
  z.tuple([millimetres, millimetres]).nullable(),
)

const image = z.looseObject({
  id: word,
  file: z.string().max(10_000).optional(),
  width: imageSide.optional(),
  height: imageSide.optional(),
  pixelSize,
  points: z.array(point),
  uncertainty: z
    .array(
      z
        .looseObject({
          ere: z.number().optional(),
          covariance: matrix.optional(),
          confidence: z.number().optional(),
          mean: z.tuple([coordinate, coordinate]).optional(),
          within: matrix.optional(),
          between: matrix.optional(),
        })
        .nullable(),
    )
    .optional(),
  chains: z.array(z.array(point)).optional(),
  filmstrip: z
    .array(z.looseObject({ t: z.number(), file: z.string().min(1).max(10_000) }))
    .optional(),
  heatmapPixel: z.tuple([z.number().positive(), z.number().positive()]).optional(),
})

/** More than any landmark set or data set has; they bound what a hostile file can cost. */
const limits = { landmarks: 1000, images: 100_000, chains: 1000, filmstrip: 10_000 }

const head = z.looseObject({
  format: z.literal('landmark-diffusion/predictions'),
  version: z.literal(1),
  landmarks: z.array(word).min(1),
  images: z.array(z.unknown()),
})

/** At most so many wrong keys are told. */
const shownIssues = 3

/** `images[2].points: has 3 entries ...` for each list of an image that does not fit the landmarks. Looked at before the entries are, so that a long list costs nothing. */
function lengthIssues(value: unknown, at: string, landmarks: number): string[] {
  if (typeof value !== 'object' || value === null) return []
  const { points, uncertainty, chains, filmstrip } = value as Record<string, unknown>
  for (const [name, list] of Object.entries({ chains, filmstrip }))
    if (Array.isArray(list) && list.length > limits[name as 'chains' | 'filmstrip'])
      return [`${at}.${name}: has ${list.length} entries, too many to read`]
  const lists: [string, unknown][] = [
    ['points', points],
    ['uncertainty', uncertainty],
    ...(Array.isArray(chains) ? chains : []).map((chain, c): [string, unknown] => [
      `chains[${c}]`,
      chain,
    ]),
  ]
  return lists.flatMap(([name, list]) =>
    Array.isArray(list) && list.length !== landmarks
      ? [`${at}.${name}: has ${list.length} entries, but the file lists ${landmarks} landmarks`]
      : [],
  )
}

/** Names that are given twice, as issues. */
function repeated(names: readonly string[], say: (index: number, name: string) => string) {
  const seen = new Set<string>()
  return names.flatMap((name, i) => {
    if (seen.has(name)) return [say(i, name)]
    seen.add(name)
    return []
  })
}

/** The size that an image must at least have for its points to lie in it, for formats that do not say it. */
export function extentOf(points: readonly (Point | null)[], axis: 0 | 1): number {
  const farthest = points.reduce((most, each) => Math.max(most, each?.[axis] ?? 0), 0)
  return Math.floor(farthest) + 1
}

/** An image with what its file leaves out. */
function completed(entry: z.infer<typeof image>): PredictedImage {
  const { id, file = id, points, width = extentOf(points, 0), height = extentOf(points, 1) } = entry
  return { ...entry, file, width, height } as PredictedImage
}

/** The images one by one, until enough is wrong. */
function checkImages(values: readonly unknown[], landmarks: number) {
  const issues: string[] = []
  const images: PredictedImage[] = []
  for (const [i, value] of values.entries()) {
    if (issues.length >= shownIssues) break
    const lengths = lengthIssues(value, `images[${i}]`, landmarks)
    if (lengths.length > 0) {
      issues.push(...lengths)
      continue
    }
    const parsed = image.safeParse(value)
    if (parsed.success) images.push(completed(parsed.data))
    else issues.push(...describeIssues(parsed.error, ['images', i]))
  }
  const twice = (i: number, id: string) => `images[${i}].id: image '${id}' is listed twice`
  if (issues.length === 0)
    issues.push(
      ...repeated(
        images.map(({ id }) => id),
        twice,
      ),
    )
  return { images, issues }
}

/** Checks a parsed predictions file; keys that it does not know are kept. `source` names it in errors. @throws ERR_DATA with the path of each of the first wrong keys. */
export function parsePredictions(value: unknown, source = 'the predictions'): PredictionsFile {
  const refuse = (issues: readonly string[]): never => {
    const rest = issues.length > shownIssues ? '; and more' : ''
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${source} is not a predictions file of version 1: ${issues.slice(0, shownIssues).join('; ')}${rest}. Write it with 'landmark-diffusion predict', or correct these keys.`,
    )
  }
  // Long lists are refused before their entries are looked at.
  const { landmarks: names, images: entries } = (value ?? {}) as Record<string, unknown>
  for (const [key, list, limit] of [
    ['landmarks', names, limits.landmarks],
    ['images', entries, limits.images],
  ] as const)
    if (Array.isArray(list) && list.length > limit)
      return refuse([`${key}: has ${list.length} entries; at most ${limit} are read`])
  const parsed = head.safeParse(value)
  if (!parsed.success) return refuse(describeIssues(parsed.error))
  const { landmarks } = parsed.data
  const twice = repeated(
    landmarks,
    (i, name) => `landmarks[${i}]: landmark '${name}' is listed twice`,
  )
  if (twice.length > 0) return refuse(twice)
  const { images, issues } = checkImages(parsed.data.images, landmarks.length)
  if (issues.length > 0) return refuse(issues)
  return { ...parsed.data, images }
}

/** What a predictions file is called when it cannot be read. */
export const predictionsFileKind: FileKind = {
  what: 'predictions file',
  remedy: "Give the JSON file that 'landmark-diffusion predict --out FILE' wrote.",
}

/** Reads and checks a predictions file. @throws ERR_DATA naming the file and the key. */
export async function readPredictions(path: string): Promise<PredictionsFile> {
  const text = await readTextFile(path, predictionsFileKind)
  return parsePredictions(parseJson(text, path, predictionsFileKind.what), path)
}

/** The text of a predictions file: one image a line, so that two of them can be compared line by line. */
export function formatPredictions(predictions: PredictionsFile): string {
  const { images, ...head } = predictions
  const lines = images.map((entry) => `    ${JSON.stringify(entry)}`)
  const headText = JSON.stringify(head, null, 2).replace(/\n}$/, '')
  const body = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`
  return `${headText},\n  "images": ${body}\n}\n`
}

/** Checks and writes a predictions file; an existing file is replaced only by a complete new one. @throws ERR_DATA for predictions that do not match the schema. */
export async function writePredictions(path: string, predictions: PredictionsFile): Promise<void> {
  parsePredictions(predictions, 'what was to be written')
  await replaceFile(path, formatPredictions(predictions), 'predictions file')
}
