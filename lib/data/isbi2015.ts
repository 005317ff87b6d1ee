/**
 * Reader of the ISBI 2015 cephalogram challenge's folders (Wang et al. 2016), and of any data set in
 * that layout:
 *
 *     AnnotationsByMD/400_senior/NNN.txt, 400_junior/NNN.txt   a line `x,y` a landmark
 *     RawImage/{TrainingData,Test1Data,Test2Data}/NNN.{bmp,png,jpg,jpeg,tif,tiff,webp}
 *     dataset.json                                             optional: size and pixel size
 *
 * Without dataset.json the official 1935 x 2400 pixels of 0.1 mm are assumed.
 */
import { access, readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { cephalometric19 } from '../landmarks/cephalometry.js'
import { isInside, type Point, type Size } from '../landmarks/geometry.js'
import { type FileKind, parseJson, readTextFile } from '../outside-file.js'
import { imageExtensions, readImageSize } from './image.js'

export interface Sample {
  readonly id: string
  /** Absolute path of the image. */
  readonly file: string
  readonly width: number
  readonly height: number
  /** [x, y] in mm; null when unknown. */
  readonly pixelSize: readonly [number, number] | null
  /** In pixels of the original image; null where no doctor has marked the image. */
  readonly points: readonly (Point | null)[] | null
}

/**
 * `mean`: halfway between the doctors, unrounded. `challenge`: the senior's points but for landmark
 * 16 (soft-tissue pogonion) of Test 2, which the organisers moved: read from
 * `AnnotationsByMD/400_challenge` where that folder exists, else missing on those images.
 */
export type Truth = 'mean' | 'senior' | 'junior' | 'challenge'

export const isbiSplits = {
  train: { folder: 'TrainingData', first: 1, last: 150 },
  test1: { folder: 'Test1Data', first: 151, last: 300 },
  test2: { folder: 'Test2Data', first: 301, last: 400 },
} as const

export type IsbiSplit = keyof typeof isbiSplits

const splitNames = Object.keys(isbiSplits) as IsbiSplit[]
const landmarkCount = cephalometric19.landmarks.length
const softPogonion = 15
const classLines = 8

/** An annotation has 27 short lines, a data set's settings a few keys. */
const annotationFile: FileKind = {
  what: 'annotation file',
  remedy: 'Give a text file with a line x,y for each landmark.',
  limit: 2 ** 20,
}
const settingsFile: FileKind = { what: 'data set file', remedy: 'Correct it.', limit: 2 ** 20 }

const datasetFile = z.strictObject({
  format: z.literal('landmark-diffusion/dataset'),
  version: z.literal(1),
  width: z.int().positive().optional(),
  height: z.int().positive().optional(),
  pixelSize: z.tuple([z.number().positive(), z.number().positive()]).nullable(),
  /** How a synthetic data set was made. */
  synthetic: z.strictObject({ count: z.int().positive(), seed: z.int() }).optional(),
})
export type DatasetFile = z.infer<typeof datasetFile>

interface ReadOptions {
  split: IsbiSplit | 'all' | readonly string[]
  /** null reads no annotations. */
  truth: Truth | null
}

/**
 * The samples of a split in the order of their ids. `points` is null on every image of a split of
 * which no image is annotated (Test 2 has been kept unlabelled); within an annotated split a missing
 * file is an error. Throws ERR_DATA with file and line, ERR_IMAGE for an image that cannot be read.
 * @param dir the folder that holds RawImage
 */
export async function readIsbi(dir: string, { split, truth }: ReadOptions): Promise<Sample[]> {
  const root = resolve(dir)
  const dataset = await readDatasetFile(root)
  const images = await findImages(root, split)
  const sizes = await inParallel(images, ({ file }) => readImageSize(file))
  const annotated = truth ? await annotatedIds(root) : new Set<string>()
  const annotatedSplits = new Set([...annotated].map(splitOfId))
  return inParallel(images, async ({ id, file }, i) => {
    const size = sizes[i] as Size
    const points =
      truth && annotatedSplits.has(splitOfId(id)) ? await readPoints(root, id, truth, size) : null
    return { id, file, ...size, pixelSize: dataset.pixelSize, points }
  })
}

/**
 * The points of these images, without reading an image's pixels; works where there are no images
 * too (the bounds are then dataset.json's, or the official size). Throws ERR_DATA, also for an id without a file.
 * @param dir the folder that holds AnnotationsByMD
 */
export async function readAnnotations(
  dir: string,
  ids: readonly string[],
  truth: Truth,
): Promise<Map<string, (Point | null)[]>> {
  const root = resolve(dir)
  const dataset = await readDatasetFile(root)
  const available = await annotatedIds(root)
  if (available.size === 0)
    throw dataError(
      join(root, 'AnnotationsByMD'),
      'no annotation file (NNN.txt in 400_senior or 400_junior)',
      'give the folder that holds AnnotationsByMD',
    )
  const images = new Map(
    (await listImages(root, splitNames)).map(({ id, file }) => [id, file] as const),
  )
  const entries = await inParallel(ids, async (id) => {
    const image = images.get(id)
    const size = image ? await readImageSize(image) : dataset
    return [id, await readPoints(root, id, truth, size)] as const
  })
  return new Map(entries)
}

/** Ids that at least one doctor has marked. */
export async function annotatedIds(dir: string): Promise<Set<string>> {
  const ids = new Set<string>()
  for (const doctor of ['400_senior', '400_junior'])
    for (const name of await list(join(dir, 'AnnotationsByMD', doctor)))
      if (/^\d+\.txt$/.test(name)) ids.add(name.slice(0, -4))
  return ids
}

/** `dataset.json` of a data set, or the official values. Throws ERR_DATA for a malformed one. */
export async function readDatasetFile(
  dir: string,
): Promise<Size & { pixelSize: readonly [number, number] | null }> {
  const official = { width: 1935, height: 2400, pixelSize: [0.1, 0.1] as const }
  const file = join(dir, 'dataset.json')
  const text = await readTextFile(file, settingsFile).catch((error: Error) => {
    const code = (error.cause as NodeJS.ErrnoException | undefined)?.code
    if (code === 'ENOENT') return null
    if (code === 'ENOTDIR')
      throw dataError(
        dir,
        'a file, not the folder of a data set',
        'if it is a pack, `landmark-diffusion dataset unpack FILE DIR` makes a folder of it',
        error,
      )
    throw error
  })
  if (text === null) return official
  const json = parseJson(text, file, settingsFile.what)
  const parsed = datasetFile.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const key = issue?.path.join('.') || 'the file'
    throw dataError(file, `${key}: ${issue?.message}`, 'correct it', parsed.error)
  }
  const { width = official.width, height = official.height, pixelSize } = parsed.data
  return { width, height, pixelSize }
}

function splitOfId(id: string): IsbiSplit | undefined {
  const number = Number(id)
  return splitNames.find((name) => {
    const { first, last } = isbiSplits[name]
    return number >= first && number <= last
  })
}

interface ImageFile {
  id: string
  file: string
}

async function findImages(root: string, split: ReadOptions['split']): Promise<ImageFile[]> {
  const layout = 'expected RawImage/{TrainingData,Test1Data,Test2Data}/NNN.{bmp,png,jpg}'
  if (typeof split !== 'string') {
    const all = new Map((await listImages(root, splitNames)).map((image) => [image.id, image]))
    return split.map((id) => {
      const image = all.get(id)
      if (!image) throw dataError(join(root, 'RawImage'), `no image with the id ${id}`, layout)
      return image
    })
  }
  if (split !== 'all' && !splitNames.includes(split))
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `no split ${split}: choose one of ${[...splitNames, 'all'].join(', ')}, or a list of ids`,
    )
  const images = await listImages(root, split === 'all' ? splitNames : [split])
  if (images.length === 0) {
    const folder = split === 'all' ? '' : isbiSplits[split].folder
    throw dataError(join(root, 'RawImage', folder), 'no image here', layout)
  }
  return images
}

async function listImages(root: string, splits: readonly IsbiSplit[]): Promise<ImageFile[]> {
  const extensions = new Set<string>(imageExtensions)
  const images: ImageFile[] = []
  for (const split of splits) {
    const folder = join(root, 'RawImage', isbiSplits[split].folder)
    for (const name of await list(folder)) {
      const extension = extname(name)
      const id = name.slice(0, -extension.length)
      if (/^\d+$/.test(id) && extensions.has(extension.slice(1).toLowerCase()))
        images.push({ id, file: join(folder, name) })
    }
  }
  images.sort((a, b) => Number(a.id) - Number(b.id))
  images.forEach((image, i) => {
    const previous = images[i - 1]
    if (previous?.id === image.id)
      throw dataError(
        image.file,
        `a second image of ${image.id}, beside ${previous.file}`,
        'keep one',
      )
  })
  return images
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw dataError(folder, `cannot be read (${(error as Error).message})`, 'check it', error)
  }
}

async function readPoints(
  root: string,
  id: string,
  truth: Truth,
  size: Size,
): Promise<(Point | null)[]> {
  const read = (doctor: string) =>
    readAnnotationFile(join(root, 'AnnotationsByMD', doctor, `${id}.txt`), size)
  switch (truth) {
    case 'senior':
      return read('400_senior')
    case 'junior':
      return read('400_junior')
    case 'mean': {
      const [senior, junior] = await Promise.all([read('400_senior'), read('400_junior')])
      return senior.map(([x, y], i): Point => {
        const [x2, y2] = junior[i] as Point
        return [(x + x2) / 2, (y + y2) / 2]
      })
    }
    case 'challenge': {
      if (await exists(join(root, 'AnnotationsByMD', '400_challenge', `${id}.txt`)))
        return read('400_challenge')
      const senior = await read('400_senior')
      return senior.map((point, i) =>
        i === softPogonion && splitOfId(id) === 'test2' ? null : point,
      )
    }
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}

/**
 * The landmarks of one file: 19 lines `x,y`, after which up to 8 lines of one integer (the clinical
 * classes of the official release) are skipped.
 */
async function readAnnotationFile(file: string, size: Size): Promise<Point[]> {
  const text = await readTextFile(file, annotationFile).catch((error: Error) => {
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') throw error
    throw dataError(
      file,
      'this annotation file is missing',
      'add it or choose another truth or split',
      error,
    )
  })
  const lines = text.split(/\r\n|\n|\r/)
  while (lines.length > 0 && (lines.at(-1) as string).trim() === '') lines.pop()
  const points = lines.slice(0, landmarkCount).map((line, i) => {
    const { name } = cephalometric19.landmarks[i] as { name: string }
    return readLine(line, `${file}:${i + 1}`, `the "x,y" of landmark ${i + 1} (${name})`, size)
  })
  if (points.length < landmarkCount)
    throw dataError(
      `${file}:${lines.length + 1}`,
      `the file ends after ${lines.length} lines`,
      `expected ${landmarkCount} lines "x,y"`,
    )
  lines.slice(landmarkCount).forEach((line, i) => {
    if (i >= classLines || !/^\s*-?\d+\s*$/.test(line))
      throw dataError(
        `${file}:${landmarkCount + i + 1}`,
        `found "${shorten(line)}" after the ${landmarkCount} landmarks`,
        `expected at most ${classLines} lines of one integer there`,
      )
  })
  return points
}

function readLine(line: string, where: string, expected: string, size: Size): Point {
  const number = '[+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?'
  const match = new RegExp(`^\\s*(${number})\\s*,\\s*(${number})\\s*$`).exec(line)
  if (!match) throw dataError(where, `found "${shorten(line)}"`, `expected ${expected}`)
  const point: Point = [Number(match[1]), Number(match[2])]
  if (!isInside(point, size))
    throw dataError(
      where,
      `the point ${point.join(',')} lies outside the image of ${size.width} x ${size.height} pixels`,
      `expected ${expected} inside it`,
    )
  return point
}

function shorten(line: string): string {
  return line.length > 40 ? `${line.slice(0, 40)}...` : line
}

function dataError(where: string, problem: string, remedy: string, cause?: unknown) {
  return new LandmarkDiffusionError('ERR_DATA', `${where}: ${problem}; ${remedy}`, { cause })
}

/** Maps with a bounded number of open files; the first error in order of time rejects. */
async function inParallel<T, U>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<U>,
): Promise<U[]> {
  const results = new Array<U>(items.length)
  let next = 0
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T, i)
  }
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, worker))
  return results
}
