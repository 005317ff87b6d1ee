/** Stored heatmaps: the file that `predict --heatmaps` writes for each image (docs/heatmap-files.md), read without libtorch and with every size checked before it is believed. */

import { open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../../errors.js'

/** Heatmaps of N landmarks on a canvas cut into square tiles: the hot tiles pixel by pixel, the mean of every tile for the rest. */
export interface TiledHeatmaps {
  readonly landmarks: readonly string[]
  /** Size of the canvas in its own pixels. */
  readonly width: number
  readonly height: number
  /** Side of a tile; those at the right and lower border may reach beyond the canvas. */
  readonly tile: number
  /** Centre of the canvas' first pixel, in pixels of the original. */
  readonly origin: readonly [number, number]
  /** Size of a pixel of the canvas, in pixels of the original. */
  readonly step: readonly [number, number]
  /** [N * rows * columns] log of a tile's mean probability, as a share of the landmark's hottest pixel. */
  readonly coarse: Float32Array
  /** [M]: `(landmark * rows + row) * columns + column` of each tile that is stored pixel by pixel, ascending. */
  readonly index: Int32Array
  /** [M * tile * tile] logs likewise; -Infinity beyond the canvas. */
  readonly values: Float32Array
}

/** Tiles in a row and in a column of the canvas. */
export function tileGrid({
  width,
  height,
  tile,
}: Pick<TiledHeatmaps, 'width' | 'height' | 'tile'>): { rows: number; columns: number } {
  return { rows: Math.ceil(height / tile), columns: Math.ceil(width / tile) }
}

/** Larger files are refused before they are read: 19 landmarks at 640 x 800 need at most 1 MiB. */
const maximumFileSize = 64 * 2 ** 20
const maximumHeaderSize = 2 ** 20

const pair = z.tuple([z.number(), z.number()])
const description = z.object({
  landmarks: z.array(z.string()).min(1).max(10_000),
  width: z.int().min(1).max(16_384),
  height: z.int().min(1).max(16_384),
  tile: z.int().min(1).max(256),
  origin: pair,
  step: z.tuple([z.number().positive(), z.number().positive()]),
})

const entry = <T extends string>(dtype: T) =>
  z.object({
    dtype: z.literal(dtype),
    shape: z.array(z.int().min(0)),
    data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
  })
const header = z.object({
  __metadata__: z.object({
    format: z.literal('landmark-diffusion/heatmaps'),
    version: z.literal('1'),
    description: z.string(),
  }),
  coarse: entry('F16'),
  index: entry('I32'),
  values: entry('F16'),
})

/** Name of the file of heatmaps in an image's own folder. */
export const heatmapFileName = 'heatmaps.safetensors'

/** Reader of a folder that `predict --heatmaps` wrote: `ID/heatmaps.safetensors` of each image. */
export function heatmapFolder(folder: string): (id: string) => Promise<TiledHeatmaps> {
  return async (id) => {
    // An id comes from a predictions file: it must not lead out of the folder.
    if (id !== basename(id) || id === '..') {
      throw new LandmarkDiffusionError(
        'ERR_DATA',
        `The image id '${id}' is no name of a folder, so it has no heatmaps in ${folder}.`,
      )
    }
    return readHeatmaps(join(folder, id, heatmapFileName))
  }
}

/** Reads a file of heatmaps. @throws ERR_DATA naming the file and what is wrong with it */
export async function readHeatmaps(path: string): Promise<TiledHeatmaps> {
  const fail = (reason: string, cause?: unknown) =>
    new LandmarkDiffusionError(
      'ERR_DATA',
      `The heatmaps ${path} cannot be used: ${reason}. Write them with 'landmark-diffusion predict --heatmaps DIR'.`,
      { cause },
    )
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw fail(`the file cannot be opened (${(cause as NodeJS.ErrnoException).code})`, cause)
  })
  try {
    const status = await handle.stat()
    if (!status.isFile()) throw fail('it is not a regular file')
    if (status.size > maximumFileSize)
      throw fail(
        `it has ${Math.round(status.size / 2 ** 20)} MiB, and at most ${maximumFileSize / 2 ** 20} MiB are read`,
      )
    return parseHeatmaps(await handle.readFile(), fail)
  } finally {
    await handle.close()
  }
}

type Fail = (reason: string, cause?: unknown) => LandmarkDiffusionError

/** A safetensors file of three tensors and a description; anything else is refused. */
export function parseHeatmaps(bytes: Buffer, fail: Fail): TiledHeatmaps {
  const headerSize = bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE(0))
  if (headerSize < 2 || headerSize > maximumHeaderSize || 8 + headerSize > bytes.length)
    throw fail('it is no safetensors file, or was cut off')
  const { __metadata__: metadata, ...tensors } = parse(
    header,
    bytes.toString('utf8', 8, 8 + headerSize),
    fail,
  )
  const about = parse(description, metadata.description, fail)
  const { rows, columns } = tileGrid(about)
  const data = bytes.subarray(8 + headerSize)
  const stored = tensors.index.shape[0] ?? 0
  const expect = (name: keyof typeof tensors, shape: readonly number[], bytesEach: number) => {
    const { shape: found, data_offsets: offsets } = tensors[name]
    const size = shape.reduce((a, b) => a * b, bytesEach)
    const fits = found.length === shape.length && found.every((side, i) => side === shape[i])
    if (!fits || offsets[1] - offsets[0] !== size || offsets[1] > data.length)
      throw fail(`its tensor '${name}' should be [${shape.join(', ')}] and lie inside the file`)
    return data.subarray(offsets[0], offsets[1])
  }
  const landmarks = about.landmarks.length
  const coarse = halves(expect('coarse', [landmarks, rows, columns], 2))
  const values = halves(expect('values', [stored, about.tile, about.tile], 2))
  const index = whole(expect('index', [stored], 4))
  for (const [i, place] of index.entries()) {
    const before = i === 0 ? -1 : (index[i - 1] as number)
    if (place <= before || place >= coarse.length)
      throw fail(`its tensor 'index' has ${place} after ${before}, of ${coarse.length} tiles`)
  }
  // One comparison refuses NaN and +Infinity too.
  if (!coarse.every((value) => value <= 0) || !values.every((value) => value <= 0))
    throw fail('a logarithm is above 0 or not a number')
  return { ...about, coarse, index, values }
}

function parse<T>(schema: z.ZodType<T>, text: string, fail: Fail): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw fail('its header is not JSON', cause)
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw fail(`${issue?.path.join('.')}: ${issue?.message}`)
}

function whole(bytes: Buffer): Int32Array {
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(4 * i))
}

/** Every value that 16 bits stand for in IEEE 754's binary16, by its bits. */
const halfValues = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
})

function halves(bytes: Buffer): Float32Array {
  const values = new Float32Array(bytes.length / 2)
  for (let i = 0; i < values.length; i++)
    values[i] = halfValues[(bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8)] as number
  return values
}
