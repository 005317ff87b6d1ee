/** The report's pixels: finds the predicted images below a folder, and makes them small enough to embed. */

import { readdir } from 'node:fs/promises'
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Sharp } from 'sharp'
import { LandmarkDiffusionError } from '../../errors.js'
import type { FilmFrame, PredictedImage } from '../predictions.js'

/** Row-major grey pixels, 0 black to 255 white. */
export interface GreyPixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** Reads an encoded image file; the caller brings it, so that evaluation depends on no reader. */
export type Decode = (path: string) => Promise<GreyPixels>

/** A picture that is embedded, or why there is none. */
export type Picture = { readonly uri: string } | { readonly missing: string }

/** Embedded pictures are at most this high; the overlay is drawn in original pixels above them. */
const pictureHeight = 1200
const frameHeight = 240
/** A film strip shows at most so many frames, evenly chosen, first and last included. */
const frameLimit = 24

async function dataUri(pixels: GreyPixels, height: number): Promise<string> {
  const { default: sharp } = await import('sharp')
  const { width: rawWidth, height: rawHeight, data } = pixels
  const image: Sharp = sharp(data, { raw: { width: rawWidth, height: rawHeight, channels: 1 } })
  const jpeg = await image
    .resize({ height: Math.min(height, rawHeight) })
    .toColourspace('b-w')
    .jpeg({ quality: 70, mozjpeg: true })
    .toBuffer()
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`
}

/** The files below a folder, found by name. Only files that this index has listed are ever opened, so a path in a predictions file cannot lead out of the folder. */
export class ImageFolder {
  readonly #folder: string
  readonly #byName = new Map<string, string[]>()

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Lists a folder and all below it. @throws ERR_DATA if there is no such folder */
  static async open(folder: string): Promise<ImageFolder> {
    const index = new ImageFolder(folder)
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
      (cause: unknown) => {
        throw new LandmarkDiffusionError(
          'ERR_DATA',
          `The image folder ${folder} cannot be read (${(cause as NodeJS.ErrnoException).code}). Give the folder of the images that were predicted.`,
          { cause },
        )
      },
    )
    for (const entry of entries) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      index.#add(entry.name, path)
      // A data set converted to another format keeps its stems.
      index.#add(basename(entry.name, extname(entry.name)), path)
    }
    return index
  }

  #add(name: string, path: string): void {
    const paths = this.#byName.get(name)
    if (paths === undefined) this.#byName.set(name, [path])
    else if (!paths.includes(path)) paths.push(path)
  }

  /** The path of a predicted image; null when there is none or when several files fit equally. */
  find({ file }: Pick<PredictedImage, 'file'>): string | null {
    const wanted = file.replaceAll('\\', '/')
    const name = wanted.slice(wanted.lastIndexOf('/') + 1)
    const sameName = this.#byName.get(name) ?? []
    const tail = sameName.filter((path) => `/${path.split(sep).join('/')}`.endsWith(`/${wanted}`))
    const sameStem = (this.#byName.get(basename(name, extname(name))) ?? []).filter((path) =>
      /\.(bmp|jpe?g|png|tiff?|webp)$/i.test(path),
    )
    for (const candidates of [tail, sameName, sameStem]) {
      if (candidates.length === 1) return candidates[0] as string
    }
    return null
  }

  toString(): string {
    return this.#folder
  }
}

/**
 * One predicted image, small enough to embed. A file that cannot be found or decoded is told in words.
 * @throws ERR_DATA for an image of another size than the predicted one: its points would lie beside it
 */
export async function embedPicture(
  image: PredictedImage,
  folder: ImageFolder | null,
  decode: Decode,
): Promise<Picture> {
  if (folder === null) return { missing: 'no image folder was given' }
  const path = folder.find(image)
  if (path === null) return { missing: `no single file of this name in ${folder}` }
  let pixels: GreyPixels
  try {
    pixels = await decode(path)
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
  if (pixels.width !== image.width || pixels.height !== image.height) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `${path} has ${pixels.width} x ${pixels.height} pixels, but '${image.id}' was predicted on ${image.width} x ${image.height}. Give the folder of the very images that were predicted.`,
    )
  }
  return { uri: await dataUri(pixels, pictureHeight) }
}

/** A frame of a film strip, ready to show. */
export interface StripFrame {
  readonly t: number
  readonly picture: Picture
}

/** The frames of one image's film strip; their files must lie in the folder of the predictions file or below it. */
export async function embedFilmstrip(
  frames: readonly FilmFrame[],
  predictionsFile: string,
  decode: Decode,
): Promise<StripFrame[]> {
  const home = dirname(resolve(predictionsFile))
  const last = frames.length - 1
  const chosen = frames.filter(
    (_, i) =>
      frames.length <= frameLimit ||
      i === last ||
      Math.floor((i * (frameLimit - 1)) / last) !== Math.floor(((i - 1) * (frameLimit - 1)) / last),
  )
  return Promise.all(
    chosen.map(async ({ t, file }): Promise<StripFrame> => {
      const path = resolve(home, file)
      const inside = relative(home, path)
      if (inside.startsWith('..') || isAbsolute(inside)) {
        return { t, picture: { missing: 'outside the folder of the predictions file' } }
      }
      try {
        return { t, picture: { uri: await dataUri(await decode(path), frameHeight) } }
      } catch (error) {
        return { t, picture: { missing: error instanceof Error ? error.message : String(error) } }
      }
    }),
  )
}
