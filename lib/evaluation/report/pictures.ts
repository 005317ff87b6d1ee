/** The report's pixels: pictures small enough to embed, cut-outs at the original resolution, and layers of heat. */

import type { Sharp } from 'sharp'
import { LandmarkDiffusionError } from '../../errors.js'
import type { PredictedImage } from '../predictions.js'
import type { ImageFolder } from './image-folder.js'

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

/** Where a rectangle lies in an image, in whole pixels. */
export interface Rectangle {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** A part of an image in its own pixels; without a picture the place is shown on a blank ground. */
export interface Crop extends Rectangle {
  readonly uri: string | null
}

/** Pictures of whole images are at most this high; marks are drawn in original pixels above them. */
const pictureHeight = 900

async function greyImage({ width, height, data }: GreyPixels): Promise<Sharp> {
  const { default: sharp } = await import('sharp')
  return sharp(data, { raw: { width, height, channels: 1 } })
}

function dataUri(type: 'jpeg' | 'webp', bytes: Buffer): string {
  return `data:image/${type};base64,${bytes.toString('base64')}`
}

/** JPEG, because WebP would save a third of the bytes and take three times as long. */
async function jpeg(image: Sharp, quality: number): Promise<string> {
  return dataUri('jpeg', await image.toColourspace('b-w').jpeg({ quality }).toBuffer())
}

/** The image, at most 900 pixels high. */
export async function smallPicture(pixels: GreyPixels): Promise<string> {
  const image = await greyImage(pixels)
  return jpeg(image.resize({ height: Math.min(pictureHeight, pixels.height) }), 65)
}

/** The image in all its pixels. */
export async function originalPicture(pixels: GreyPixels): Promise<string> {
  return jpeg(await greyImage(pixels), 70)
}

/** A part of the image in all its pixels. */
export async function cropPicture(pixels: GreyPixels, part: Rectangle): Promise<string> {
  const { left, top, width, height } = part
  const image = (await greyImage(pixels)).extract({ left, top, width, height })
  return dataUri('webp', await image.webp({ quality: 82, effort: 0 }).toBuffer())
}

/** Whether a whole picture shows less than the image has. */
export function isReduced({ height }: PredictedImage): boolean {
  return height > pictureHeight
}

/**
 * The pixels of a predicted image, or in words why they cannot be had.
 * @throws ERR_DATA for an image of another size than the predicted one: its points would lie beside it
 */
export async function readPixels(
  image: PredictedImage,
  folder: ImageFolder | null,
  decode: Decode,
): Promise<GreyPixels | string> {
  if (folder === null) return 'no image folder was given'
  const path = folder.find(image)
  if (path === null) return `no single file of this name in ${folder}`
  let pixels: GreyPixels
  try {
    pixels = await decode(path)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (pixels.width === image.width && pixels.height === image.height) return pixels
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    `${path} has ${pixels.width} x ${pixels.height} pixels, but '${image.id}' was predicted on ${image.width} x ${image.height}. Give the folder of the very images that were predicted.`,
  )
}

/** The colours of heat from 0 to 255 as the bytes of red, green, blue and opacity: nothing, then ember, orange, yellow, white. */
const heatColours = new Uint32Array(
  Uint8Array.from({ length: 4 * 256 }, (_, i) => {
    const heat = Math.floor(i / 4) / 255
    const ramp = (from: number, to: number) => Math.max(0, Math.min(1, (heat - from) / (to - from)))
    const channels = [ramp(-0.6, 0.35), ramp(0.15, 0.85), ramp(0.7, 1.1), ramp(0, 0.85)]
    return Math.round(255 * (channels[i % 4] as number))
  }).buffer,
)

/** heat: 0 nothing to 255 hottest -> a picture that is clear where it is cold, at most `height` pixels high. */
export async function heatPicture(heat: GreyPixels, height: number): Promise<string> {
  const { default: sharp } = await import('sharp')
  const pixels = Uint32Array.from(heat.data, (value) => heatColours[value] as number)
  const raw = { width: heat.width, height: heat.height, channels: 4 as const }
  const image = sharp(new Uint8Array(pixels.buffer), { raw })
  const small = image.resize({ height: Math.min(height, heat.height) })
  return dataUri('webp', await small.webp({ quality: 60, alphaQuality: 70, effort: 0 }).toBuffer())
}
