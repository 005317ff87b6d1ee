/**
 * Encoded images to grey pixels. The format is read from the content, never from the file's name;
 * PNG, JPEG, TIFF and WebP are decoded by sharp (libvips), BMP here. Sizes are checked before pixels
 * are allocated, and a damaged file is an ERR_IMAGE that names it.
 */
import { open, readFile } from 'node:fs/promises'
import sharp from 'sharp'
import { LandmarkDiffusionError } from '../errors.js'
import type { Size } from '../landmarks/geometry.js'
import { grey, readBmpHeader, readBmpPixels } from './bmp.js'

/** Row-major grey pixels, 0 black to 255 white. */
export interface GreyImage extends Size {
  readonly data: Uint8Array
}

export { resampleToCanvas } from './resample.js'

const maxPixels = 100e6
const maxFileBytes = 512 * 2 ** 20

/** Extensions that folders are searched for; the content decides how a file is read. */
export const imageExtensions = ['png', 'jpg', 'jpeg', 'bmp', 'tif', 'tiff', 'webp'] as const

type Format = 'bmp' | 'jpeg' | 'png' | 'tiff' | 'webp'

const signatures: readonly [string, (bytes: Uint8Array, text: string) => boolean][] = [
  ['png', (b) => b[0] === 0x89 && b[1] === 0x50 && b[2] === 0x4e && b[3] === 0x47],
  ['jpeg', (b) => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff],
  ['tiff', (_, t) => t.startsWith('II*\0') || t.startsWith('MM\0*') || t.startsWith('II+\0')],
  ['webp', (_, t) => t.startsWith('RIFF') && t.slice(8, 12) === 'WEBP'],
  ['bmp', (_, t) => t.startsWith('BM')],
  ['a DICOM file', (_, t) => t.slice(128, 132) === 'DICM'],
  ['a GIF image', (_, t) => t.startsWith('GIF8')],
  ['a zip archive', (_, t) => t.startsWith('PK\x03\x04')],
  ['a RAR archive', (_, t) => t.startsWith('Rar!')],
  ['a gzip archive', (b) => b[0] === 0x1f && b[1] === 0x8b],
  ['a PDF document', (_, t) => t.startsWith('%PDF')],
  ['an HTML or SVG document', (_, t) => /^\s*<[!?a-z]/i.test(t)],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are what is looked for
  ['text', (_, t) => t.length > 0 && !/[\x00-\x08\x0e-\x1f]/.test(t)],
]

function sniff(bytes: Uint8Array, name: string): Format {
  if (bytes.length === 0) throw imageError(name, 'the file is empty')
  const text = Buffer.from(bytes.subarray(0, 256)).toString('latin1')
  const found = signatures.find(([, matches]) => matches(bytes, text))?.[0]
  switch (found) {
    case 'png':
    case 'jpeg':
    case 'tiff':
    case 'webp':
    case 'bmp':
      return found
    default:
      throw imageError(
        name,
        `not an image that can be read: found ${found ?? 'unknown content'}`,
        'give a PNG, JPEG, TIFF, WebP or BMP file',
      )
  }
}

function imageError(name: string, problem: string, remedy?: string, cause?: unknown) {
  return new LandmarkDiffusionError(
    'ERR_IMAGE',
    `${name}: ${problem}${remedy ? `; ${remedy}` : ''}`,
    { cause },
  )
}

function checkSize(size: Size, name: string): void {
  if (size.width * size.height > maxPixels)
    throw imageError(
      name,
      `${size.width} x ${size.height} pixels is more than the limit of ${maxPixels / 1e6} million`,
      'reduce the image',
    )
}

/** What libvips says, without its prefix and on one line. */
function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/\s+/g, ' ').trim()
}

function openSharp(input: Uint8Array | string) {
  // ignoreIcc: grey values must stay as stored; a "dot gain" profile would bend them.
  return sharp(input, { failOn: 'error', limitInputPixels: maxPixels, ignoreIcc: true })
}

/**
 * Width and height from the header alone. Throws ERR_IMAGE.
 * @param file path of an image
 */
export async function readImageSize(file: string): Promise<Size> {
  const head = await readHead(file)
  const format = sniff(head, file)
  let size: Size
  if (format === 'bmp') {
    try {
      const { width, height } = readBmpHeader(head)
      size = { width, height }
    } catch (error) {
      throw imageError(file, `the bitmap ${reason(error)}`, undefined, error)
    }
  } else {
    try {
      const { width, height } = await openSharp(file).metadata()
      size = { width, height }
    } catch (error) {
      throw damaged(file, format, error)
    }
  }
  checkSize(size, file)
  return size
}

/**
 * Decodes to grey; EXIF orientation is not applied, transparency shows black.
 * Of 16-bit images the smallest power of two that holds the brightest pixel (at least 8 bits)
 * becomes white, as detectors store 10 to 14 bits in 16.
 * @param input path, or the bytes of an encoded image
 * @param name what an error calls the image; the path when there is one
 */
export async function decodeImage(input: string | Uint8Array, name?: string): Promise<GreyImage> {
  const label = name ?? (typeof input === 'string' ? input : 'the image')
  const bytes = typeof input === 'string' ? await readWhole(input) : input
  if (!(bytes instanceof Uint8Array)) throw imageError(label, 'is neither a path nor bytes')
  if (bytes.length > maxFileBytes) throw tooLarge(label, bytes.length)
  const format = sniff(bytes, label)
  if (format === 'bmp') {
    try {
      const header = readBmpHeader(bytes)
      const { width, height } = header
      checkSize(header, label)
      return { width, height, data: readBmpPixels(bytes, header) }
    } catch (error) {
      if (error instanceof LandmarkDiffusionError) throw error
      throw imageError(label, `the bitmap ${reason(error)}`, undefined, error)
    }
  }
  try {
    const metadata = await openSharp(bytes).metadata()
    checkSize(metadata, label)
    if (metadata.depth === 'ushort' || metadata.depth === 'short') return await decode16(bytes)
    if (metadata.depth !== 'uchar')
      throw imageError(
        label,
        `pixels of type ${metadata.depth} are not read`,
        'convert to 8 or 16 bits',
      )
    const pipeline = metadata.hasAlpha ? openSharp(bytes).flatten() : openSharp(bytes)
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true })
    return toGrey(data, info)
  } catch (error) {
    if (error instanceof LandmarkDiffusionError) throw error
    throw damaged(label, format, error)
  }
}

function toGrey(
  data: Buffer,
  info: { width: number; height: number; channels: number },
): GreyImage {
  const { width, height, channels } = info
  const count = width * height
  const out = new Uint8Array(count)
  if (channels < 3) for (let i = 0; i < count; i++) out[i] = data[i * channels] as number
  else
    for (let i = 0, at = 0; i < count; i++, at += channels)
      out[i] = grey(data[at] as number, data[at + 1] as number, data[at + 2] as number)
  return { width, height, data: out }
}

async function decode16(bytes: Uint8Array): Promise<GreyImage> {
  // Without grey16 and ushort, libvips hands out 8 bits (lovell/sharp#3809).
  const { data, info } = await openSharp(bytes)
    .removeAlpha()
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true })
  const { width, height, channels } = info
  const values = new Uint16Array(
    data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
  )
  let maximum = 255
  for (const value of values) if (value > maximum) maximum = value
  const shift = Math.max(0, Math.floor(Math.log2(maximum)) + 1 - 8)
  const out = new Uint8Array(width * height)
  for (let i = 0; i < out.length; i++) out[i] = (values[i * channels] as number) >> shift
  return { width, height, data: out }
}

async function readHead(file: string): Promise<Uint8Array> {
  try {
    const handle = await open(file)
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(2048), 0, 2048, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function readWhole(file: string): Promise<Uint8Array> {
  try {
    const handle = await open(file)
    try {
      const { size } = await handle.stat()
      if (size > maxFileBytes) throw tooLarge(file, size)
      return await readFile(handle)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (error instanceof LandmarkDiffusionError) throw error
    throw unreadable(file, error)
  }
}

function tooLarge(name: string, size: number) {
  const mib = (bytes: number) => Math.ceil(bytes / 2 ** 20)
  return imageError(
    name,
    `a file of ${mib(size)} MiB is over the limit of ${mib(maxFileBytes)} MiB`,
  )
}

function unreadable(file: string, error: unknown) {
  return imageError(file, `cannot be read (${reason(error)})`, 'check the path', error)
}

function damaged(name: string, format: Format, error: unknown) {
  return imageError(
    name,
    `the ${format.toUpperCase()} data is damaged or cut off (${reason(error)})`,
    'get a fresh copy of the file',
    error,
  )
}
