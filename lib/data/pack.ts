/**
 * A data set in the ISBI layout as one small file, to carry it to a machine where it is trained on: images on the
 * network's canvas as JPEG, both doctors' points mapped with them, and the pixel size that they then have. The
 * file: `LDPACK01`, length of a JSON header (uint32, little endian), the header, the JPEGs one after the other.
 */
import { setMaxListeners } from 'node:events'
import { existsSync } from 'node:fs'
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import sharp from 'sharp'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { fitCanvas, type Point, type Size } from '../landmarks/geometry.js'
import { makeFolder } from '../output-folder.js'
import { CanvasPool } from './canvas-pool.js'
import {
  annotatedIds,
  type DatasetFile,
  type IsbiSplit,
  isbiSplits,
  readAnnotations,
  readIsbi,
  type Sample,
} from './isbi2015.js'

const magic = 'LDPACK01'
/** A header holds some kilobytes an image, an image on its canvas some hundred. */
const limits = { file: 2 ** 32, header: 2 ** 26, image: 2 ** 25 }
/** Tried in this order until the file is small enough. */
const qualities = [95, 92, 90, 87, 84, 80, 75, 70, 60]
const doctors = ['senior', 'junior'] as const

const points = z.array(z.tuple([z.number(), z.number()])).max(1000)
const headerSchema = z.strictObject({
  version: z.literal(1),
  width: z
    .int()
    .positive()
    .max(2 ** 15),
  height: z
    .int()
    .positive()
    .max(2 ** 15),
  /** [x, y] in mm; null when unknown. */
  pixelSize: z.tuple([z.number().positive(), z.number().positive()]).nullable(),
  quality: z.int(),
  /** Of all that follows the header. */
  crc32: z.int(),
  images: z
    .array(
      z.strictObject({
        id: z.string().regex(/^\d{1,9}$/),
        split: z.enum(Object.keys(isbiSplits) as [IsbiSplit, ...IsbiSplit[]]),
        bytes: z.int().positive().max(limits.image),
        /** In pixels of the canvas; null where nobody has marked the image. */
        points: z.strictObject({ senior: points, junior: points }).nullable(),
      }),
    )
    .min(1)
    .max(100_000),
})
type Header = z.infer<typeof headerSchema>

export interface PackOptions {
  /** Canvas of the network that is to be trained. */
  readonly canvas: Size
  /** Most bytes of the file: the JPEG quality is lowered until it fits. */
  readonly limit: number
  readonly signal?: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}

export interface Packed {
  readonly images: number
  readonly bytes: number
  readonly quality: number
}

/** Packs the data set in `dir` into `file`. @throws ERR_DATA, ERR_IMAGE; ERR_ABORTED when the signal fires */
export async function packDataset(
  dir: string,
  file: string,
  { canvas, limit, signal, onProgress }: PackOptions,
): Promise<Packed> {
  const samples = await readIsbi(dir, { split: 'all', truth: null })
  const annotations = await annotationsOf(dir, samples, canvas)
  const pixelSize = commonPixelSize(samples, canvas, dir)
  const pixels = await decode(samples, canvas, { signal, onProgress })
  for (const quality of qualities) {
    const jpegs: Buffer[] = []
    let bytes = 0
    for (const [i, grey] of pixels.entries()) {
      if (signal?.aborted) throw aborted(file, signal)
      if (bytes > limit) break
      const raw = { width: canvas.width, height: canvas.height, channels: 1 as const }
      jpegs[i] = await sharp(grey, { raw }).jpeg({ quality, mozjpeg: true }).toBuffer()
      bytes += (jpegs[i] as Buffer).length
    }
    const data = Buffer.concat(jpegs)
    const header: Header = {
      version: 1,
      width: canvas.width,
      height: canvas.height,
      pixelSize,
      quality,
      crc32: crc32(data),
      images: samples.flatMap(({ id }, i) => {
        const jpeg = jpegs[i]
        const split = splitOf(id)
        return jpeg ? [{ id, split, bytes: jpeg.length, points: annotations.get(id) ?? null }] : []
      }),
    }
    const text = Buffer.from(JSON.stringify(header))
    const total = magic.length + 4 + text.length + data.length
    if (header.images.length < samples.length || total > limit) continue
    await writeWhole(file, text, data)
    return { images: samples.length, bytes: total, quality }
  }
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    `${dir}: its ${samples.length} images do not fit into ${limit} bytes at JPEG quality ${qualities.at(-1)}; allow more (--limit) or give a smaller canvas`,
  )
}

/** Writes the data set of a pack into an empty or new folder, in the ISBI layout. @throws ERR_DATA where the file is damaged or no pack */
export async function unpackDataset(file: string, dir: string): Promise<{ images: number }> {
  const { header, data } = await readPack(file)
  if (existsSync(dir) && (await readdir(dir)).length > 0) {
    throw new LandmarkDiffusionError('ERR_DATA', `${dir} is not empty; give another folder`)
  }
  const { width, height, pixelSize, images } = header
  const dataset: DatasetFile = {
    format: 'landmark-diffusion/dataset',
    version: 1,
    width,
    height,
    pixelSize,
  }
  for (const { folder } of Object.values(isbiSplits)) {
    await makeFolder(join(dir, 'RawImage', folder))
  }
  for (const doctor of doctors) {
    await makeFolder(join(dir, 'AnnotationsByMD', `400_${doctor}`))
  }
  let offset = 0
  for (const { id, split, bytes, points } of images) {
    const jpeg = data.subarray(offset, offset + bytes)
    offset += bytes
    await writeFile(join(dir, 'RawImage', isbiSplits[split].folder, `${id}.jpg`), jpeg)
    for (const doctor of points ? doctors : []) {
      const lines = (points as NonNullable<typeof points>)[doctor].map((point) => point.join(','))
      await writeFile(
        join(dir, 'AnnotationsByMD', `400_${doctor}`, `${id}.txt`),
        `${lines.join('\n')}\n`,
      )
    }
  }
  // Last, so that a folder with it is complete.
  await writeFile(join(dir, 'dataset.json'), `${JSON.stringify(dataset, null, 2)}\n`)
  return { images: images.length }
}

async function readPack(file: string): Promise<{ header: Header; data: Buffer }> {
  const bad = (problem: string, cause?: unknown) =>
    new LandmarkDiffusionError(
      'ERR_DATA',
      `${file}: ${problem}; make it anew with \`dataset pack\``,
      { cause },
    )
  const { size } = await stat(file).catch((error: Error) => {
    throw bad(`cannot be read (${error.message})`, error)
  })
  if (size > limits.file) throw bad(`has ${size} bytes, more than any pack`)
  const bytes = await readFile(file)
  const start = magic.length + 4
  if (bytes.length < start || bytes.toString('latin1', 0, magic.length) !== magic) {
    throw bad('is no pack of a data set')
  }
  const length = bytes.readUInt32LE(magic.length)
  if (length > limits.header || start + length > bytes.length) throw bad('is cut off')
  const data = bytes.subarray(start + length)
  let header: Header
  try {
    header = headerSchema.parse(JSON.parse(bytes.toString('utf8', start, start + length)))
  } catch (cause) {
    throw bad('has a damaged header', cause)
  }
  const wanted = header.images.reduce((sum, image) => sum + image.bytes, 0)
  if (wanted !== data.length) throw bad(`holds ${data.length} bytes of images, not ${wanted}`)
  if (crc32(data) !== header.crc32) throw bad('is damaged (its checksum differs)')
  const ids = new Set(header.images.map(({ id }) => id))
  if (ids.size !== header.images.length) throw bad('names an image twice')
  return { header, data }
}

/** Points of both doctors on the canvas, by id. */
async function annotationsOf(
  dir: string,
  samples: readonly Sample[],
  canvas: Size,
): Promise<Map<string, Header['images'][number]['points']>> {
  const marked = await annotatedIds(dir)
  const known = samples.filter(({ id }) => marked.has(id))
  const ids = known.map(({ id }) => id)
  const [senior, junior] = await Promise.all([
    readAnnotations(dir, ids, 'senior'),
    readAnnotations(dir, ids, 'junior'),
  ])
  return new Map(
    known.map((sample) => {
      const map = fitCanvas(sample, canvas)
      const moved = (points: readonly (Point | null)[] = []) =>
        points.map((point) => within(map.apply(point as Point), canvas))
      return [
        sample.id,
        { senior: moved(senior.get(sample.id)), junior: moved(junior.get(sample.id)) },
      ]
    }),
  )
}

/** A point on the very edge of the original can round to just outside of the canvas. */
function within([x, y]: Point, { width, height }: Size): [number, number] {
  const clamp = (value: number, length: number) =>
    Math.min(Math.max(value, -0.5), length - 0.5 - 1e-6)
  return [clamp(x, width), clamp(y, height)]
}

function commonPixelSize(
  samples: readonly Sample[],
  canvas: Size,
  dir: string,
): [number, number] | null {
  const sizes = samples.map((sample) => {
    const map = fitCanvas(sample, canvas)
    return sample.pixelSize
      ? ([sample.pixelSize[0] / map.a, sample.pixelSize[1] / map.e] as [number, number])
      : null
  })
  const [first = null] = sizes
  if (sizes.some((size) => size?.[0] !== first?.[0] || size?.[1] !== first?.[1])) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${dir}: its images have different sizes, so their pixels differ on one canvas; a pack holds images of one size`,
    )
  }
  return first
}

async function decode(
  samples: readonly Sample[],
  canvas: Size,
  { signal, onProgress }: Pick<PackOptions, 'signal' | 'onProgress'>,
): Promise<Uint8Array[]> {
  const pool = new CanvasPool()
  const stop = new AbortController()
  setMaxListeners(0, stop.signal) // one listener a task
  const abort = () => stop.abort()
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    let done = 0
    return await Promise.all(
      samples.map(async ({ file }) => {
        const { pixels } = await pool.fit(file, canvas, { signal: stop.signal })
        onProgress?.(++done, samples.length)
        return pixels
      }),
    )
  } catch (error) {
    stop.abort()
    if (signal?.aborted) throw aborted('the pack', signal)
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    await pool.destroy()
  }
}

function splitOf(id: string): IsbiSplit {
  const names = Object.keys(isbiSplits) as IsbiSplit[]
  const inside = (name: IsbiSplit) =>
    Number(id) >= isbiSplits[name].first && Number(id) <= isbiSplits[name].last
  return names.find(inside) ?? 'train'
}

async function writeWhole(file: string, header: Buffer, data: Buffer): Promise<void> {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  await makeFolder(dirname(file))
  const temporary = `${file}.${process.pid}.part`
  try {
    const handle = await open(temporary, 'w')
    try {
      for (const part of [Buffer.from(magic), length, header, data]) await handle.writeFile(part)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } finally {
    await rm(temporary, { force: true })
  }
}

function aborted(what: string, signal: AbortSignal): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_ABORTED', `stopped before ${what} was done`, {
    cause: signal.reason,
  })
}
