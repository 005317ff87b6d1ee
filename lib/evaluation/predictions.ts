/** The predictions file: what `predict` writes and `evaluate` and `report` read. Its schema, and reading and writing it safely. */

import { open } from 'node:fs/promises'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { replaceFile } from './files.js'

/** [x, y] in pixels of the original image: x right, y down, the centre of the first pixel at (0, 0). */
export type Point = readonly [number, number]

/** How sure the model is of one point. */
export interface PointUncertainty {
  /** Expected radial error in mm (or pixels where the pixel size is unknown). */
  ere?: number
  /** 2 x 2 covariance. */
  covariance?: readonly (readonly [number, number])[]
  confidence?: number
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
  [key: string]: unknown
}

export interface PredictionsFile {
  format: 'landmark-diffusion/predictions'
  version: 1
  landmarks: readonly string[]
  images: readonly PredictedImage[]
  [key: string]: unknown
}

/** A predictions file larger than this is refused before it is read (400 images with 100 chains are about 30 MiB). */
export const maximumFileSize = 256 * 2 ** 20

const maximumImageSide = 100_000
const coordinate = z
  .number()
  .refine((value) => Math.abs(value) <= 1e6, 'is more than a million pixels from the image')
const point = z.tuple([coordinate, coordinate]).nullable()
const imageSide = z.int().min(1).max(maximumImageSide)
const millimetres = z.number().positive().max(1000)

const image = z.looseObject({
  id: z.string().min(1).max(1000),
  file: z.string().max(10_000),
  width: imageSide,
  height: imageSide,
  pixelSize: z.tuple([millimetres, millimetres]).nullable(),
  points: z.array(point),
  uncertainty: z
    .array(
      z
        .looseObject({
          ere: z.number().optional(),
          covariance: z
            .array(z.tuple([z.number(), z.number()]))
            .length(2)
            .optional(),
          confidence: z.number().optional(),
        })
        .nullable(),
    )
    .optional(),
  chains: z.array(z.array(point)).optional(),
  filmstrip: z
    .array(z.looseObject({ t: z.number(), file: z.string().min(1).max(10_000) }))
    .optional(),
})

/** Checks a predictions file; keys that it does not know are kept. */
export const predictionsSchema: z.ZodType<PredictionsFile> = z
  .looseObject({
    format: z.literal('landmark-diffusion/predictions'),
    version: z.literal(1),
    landmarks: z.array(z.string().min(1).max(1000)).min(1),
    images: z.array(image),
  })
  .superRefine((file, context) => {
    const names = new Set<string>()
    for (const [i, name] of file.landmarks.entries()) {
      if (names.has(name)) {
        context.addIssue({
          code: 'custom',
          path: ['landmarks', i],
          message: `landmark '${name}' is listed twice`,
        })
      }
      names.add(name)
    }
    const ids = new Set<string>()
    for (const [i, { id, points, uncertainty, chains }] of file.images.entries()) {
      if (ids.has(id)) {
        context.addIssue({
          code: 'custom',
          path: ['images', i, 'id'],
          message: `image '${id}' is listed twice`,
        })
      }
      ids.add(id)
      const lists: [(string | number)[], readonly unknown[] | undefined][] = [
        [['points'], points],
        [['uncertainty'], uncertainty],
        ...(chains ?? []).map((chain, c): [(string | number)[], readonly unknown[]] => [
          ['chains', c],
          chain,
        ]),
      ]
      for (const [path, list] of lists) {
        if (list !== undefined && list.length !== file.landmarks.length) {
          context.addIssue({
            code: 'custom',
            path: ['images', i, ...path],
            message: `has ${list.length} entries, but the file lists ${file.landmarks.length} landmarks`,
          })
        }
      }
    }
  })

/** `['images', 3, 'points', 2]` -> `images[3].points[2]`. */
function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    text += typeof key === 'number' ? `[${key}]` : `${text === '' ? '' : '.'}${String(key)}`
  }
  return text === '' ? 'the file' : text
}

/** Checks a parsed predictions file. `source` names it in errors. @throws ERR_DATA with the path of each of the first wrong keys. */
export function parsePredictions(value: unknown, source = 'the predictions'): PredictionsFile {
  const parsed = predictionsSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const { issues } = parsed.error
  const shown = issues.slice(0, 3).map(({ path, message }) => `${formatPath(path)}: ${message}`)
  const rest = issues.length > 3 ? `; and ${issues.length - 3} more` : ''
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    `${source} is not a predictions file of version 1: ${shown.join('; ')}${rest}. Write it with 'landmark-diffusion predict', or correct these keys.`,
  )
}

/** JSON text to a value in which no object has a key `__proto__`, which a later copy could turn into a prototype. */
function parseJson(text: string): unknown {
  if (!/__proto__|\\u005f/i.test(text)) return JSON.parse(text)
  return JSON.parse(text, (key, value) => (key === '__proto__' ? undefined : value))
}

async function readText(path: string): Promise<string> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The predictions file ${path} cannot be opened (${(cause as NodeJS.ErrnoException).code}). Give the file that 'landmark-diffusion predict --out FILE' wrote.`,
      { cause },
    )
  })
  try {
    // The size is looked at on the open handle, so that the file cannot be exchanged in between.
    const status = await handle.stat()
    if (!status.isFile()) {
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `${path} is not a regular file. Give the JSON file that 'landmark-diffusion predict --out FILE' wrote.`,
      )
    }
    if (status.size > maximumFileSize) {
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `The predictions file ${path} has ${Math.round(status.size / 2 ** 20)} MiB; at most ${maximumFileSize / 2 ** 20} MiB are read. Split it by images.`,
      )
    }
    return (await handle.readFile()).toString('utf8')
  } finally {
    await handle.close()
  }
}

/** Reads and checks a predictions file. @throws ERR_DATA naming the file and the key. */
export async function readPredictions(path: string): Promise<PredictionsFile> {
  const text = await readText(path)
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The predictions file ${path} is not JSON (${(cause as Error).message}). It may be cut short: predict again.`,
      { cause },
    )
  }
  return parsePredictions(value, path)
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
