/** What a user names, files, folders or globs, to a list of images with ids and, where a data set says it, their pixel size. */

import { existsSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { convertPathToPattern, glob } from 'tinyglobby'
import { imageExtensions } from '../data/image.js'
import { type IsbiSplit, isbiSplits, readDatasetFile, readIsbi } from '../data/isbi2015.js'
import { LandmarkDiffusionError } from '../errors.js'

export interface InputImage {
  /** The file's name without ending; with its folder's name before it where two would be equal. */
  id: string
  /** Absolute path. */
  file: string
  /** [x, y] in mm; null when nothing says it. */
  pixelSize: readonly [number, number] | null
  /** Where the pixel size comes from, for people; null without one. */
  scaleSource: string | null
}

/**
 * Files as they are, folders with all images in them and below, globs. Of the folder of a data set
 * in the ISBI layout only the images of `split` (default: all). Images inside such a data set have
 * its pixel size.
 * @throws ERR_DATA where an input names no image
 */
export async function findInputs(
  inputs: readonly string[],
  { split = 'all' }: { split?: IsbiSplit | 'all' } = {},
): Promise<InputImage[]> {
  if (!Array.isArray(inputs))
    throw new LandmarkDiffusionError('ERR_DATA', 'wants an array of paths')
  const files = new Set<string>()
  for (const input of inputs) for (const file of await filesOf(input, split)) files.add(file)
  const scales = new Map<string, Promise<Pick<InputImage, 'pixelSize' | 'scaleSource'>>>()
  const images = await Promise.all(
    [...files].map(async (file) => {
      const folder = dirname(file)
      const scale = scales.get(folder) ?? scaleOf(folder)
      scales.set(folder, scale)
      return { id: basename(file, extname(file)), file, ...(await scale) }
    }),
  )
  return withUniqueIds(images)
}

async function filesOf(input: string, split: IsbiSplit | 'all'): Promise<string[]> {
  const path = resolve(input)
  if (!existsSync(path)) {
    const found = await glob(input, { absolute: true, onlyFiles: true, caseSensitiveMatch: false })
    const images = found.filter(isImageName).sort(byName)
    if (images.length > 0) return images
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${input}: there is no such file or folder, and as a pattern it matches no image`,
    )
  }
  if (!statSync(path).isDirectory()) return [path]
  if (existsSync(join(path, 'RawImage'))) {
    return (await readIsbi(path, { split, truth: null })).map(({ file }) => file)
  }
  const pattern = `${convertPathToPattern(path)}/**/*.{${imageExtensions.join(',')}}`
  const found = await glob(pattern, { absolute: true, caseSensitiveMatch: false })
  if (found.length > 0) return found.map((file) => resolve(file)).sort(byName)
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    `${input}: no image in this folder (${imageExtensions.join(', ')})`,
  )
}

function isImageName(file: string): boolean {
  const ending = extname(file).slice(1).toLowerCase()
  return imageExtensions.some((extension) => extension === ending)
}

function byName(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

/** The pixel size of the data set that the folder of an image belongs to: `RawImage/Test1Data` below its root. */
async function scaleOf(folder: string): Promise<Pick<InputImage, 'pixelSize' | 'scaleSource'>> {
  const isSplit = Object.values(isbiSplits).some((split) => split.folder === basename(folder))
  const raw = dirname(folder)
  if (!isSplit || basename(raw) !== 'RawImage') return { pixelSize: null, scaleSource: null }
  const root = dirname(raw)
  const { pixelSize } = await readDatasetFile(root)
  const described = existsSync(join(root, 'dataset.json'))
  return {
    pixelSize,
    scaleSource:
      pixelSize && (described ? `${root}/dataset.json` : `the ISBI 2015 layout of ${root}`),
  }
}

function withUniqueIds(images: InputImage[]): InputImage[] {
  const count = (id: string) => images.filter((image) => image.id === id).length
  const repeated = new Set(images.map(({ id }) => id).filter((id) => count(id) > 1))
  if (repeated.size === 0) return images
  const longer = images.map((image) =>
    repeated.has(image.id)
      ? { ...image, id: `${basename(dirname(image.file))}-${image.id}` }
      : image,
  )
  const seen = new Map<string, number>()
  return longer.map((image) => {
    const before = seen.get(image.id) ?? 0
    seen.set(image.id, before + 1)
    return before === 0 ? image : { ...image, id: `${image.id}-${before + 1}` }
  })
}
