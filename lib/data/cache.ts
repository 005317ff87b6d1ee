/**
 * Decoded images in memory, kept in one flat file between runs: `LDCACHE1`, the length of a JSON
 * header (uint32, little endian), the header, then the pixels, one uint8 canvas after the other. The
 * header holds canvas, CRC-32 of the pixels, and path, size and time of change of every image, so
 * that a stale or damaged file is noticed and made anew. The file is replaced by a rename, so that a
 * reader never sees half of it.
 */
import { setMaxListeners } from 'node:events'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { LandmarkDiffusionError } from '../errors.js'
import type { Size } from '../landmarks/geometry.js'
import { makeFolder } from '../output-folder.js'
import { CanvasPool } from './canvas-pool.js'

/** What the cache needs to know of a sample. */
export interface CacheSource extends Size {
  readonly file: string
}

export interface CacheOptions {
  onProgress?: (progress: { done: number; total: number }) => void
  /** Told when the images are ready but could not be kept on disk. */
  onWarning?: (message: string) => void
  signal?: AbortSignal
  /** Worker threads; default: the number of cores. */
  threads?: number
}

const magic = 'LDCACHE1'
const version = 1

interface Header {
  version: number
  canvas: Size
  crc32: number
  images: ImageKey[]
}

interface ImageKey extends CacheSource {
  bytes: number
  modified: number
}

/** The decoded images of a list of samples, in its order. */
export class ImageCache implements Size {
  readonly width: number
  readonly height: number
  readonly length: number
  /** [length * height * width] grey */
  readonly pixels: Uint8Array

  constructor(pixels: Uint8Array, canvas: Size) {
    this.width = canvas.width
    this.height = canvas.height
    this.length = pixels.length / (canvas.width * canvas.height)
    this.pixels = pixels
    if (!Number.isInteger(this.length))
      throw new RangeError(
        `${pixels.length} pixels are not whole images of ${canvas.width} x ${canvas.height}`,
      )
  }

  /** Image i, [height * width] grey; a view, not a copy. */
  get(i: number): Uint8Array {
    if (!(i >= 0 && i < this.length)) throw new RangeError(`no image ${i} of ${this.length}`)
    const size = this.width * this.height
    return this.pixels.subarray(i * size, (i + 1) * size)
  }

  /** `count` images from `first` on, over the same memory. */
  section(first: number, count: number): ImageCache {
    const size = this.width * this.height
    return new ImageCache(this.pixels.subarray(first * size, (first + count) * size), this)
  }
}

/**
 * Reads the cache file if it fits these samples, else decodes them in worker threads and writes it.
 * Throws ERR_IMAGE for an image that cannot be decoded, ERR_ABORTED when the signal fires; neither
 * leaves a partial cache. A cache that cannot be written only costs the next run its time.
 * @param cacheFile where to keep the pixels; null keeps them in memory only
 */
export async function buildCache(
  samples: readonly CacheSource[],
  canvas: Size,
  cacheFile: string | null,
  options: CacheOptions = {},
): Promise<ImageCache> {
  const { width, height } = canvas
  const images = await Promise.all(samples.map(imageKey))
  const key = { version, canvas: { width, height }, images }
  const total = samples.length
  if (cacheFile) {
    const pixels = await readCacheFile(cacheFile, key)
    if (pixels) {
      options.onProgress?.({ done: total, total })
      return new ImageCache(pixels, canvas)
    }
  }
  const pixels = await decodeAll(samples, canvas, options)
  if (cacheFile) {
    try {
      await writeCacheFile(cacheFile, { ...key, crc32: crc32(pixels) }, pixels)
    } catch (error) {
      options.onWarning?.(
        `${cacheFile}: the decoded images could not be kept (${(error as Error).message}); ` +
          'the next run will decode them again',
      )
    }
  }
  return new ImageCache(pixels, canvas)
}

async function imageKey({ file, width, height }: CacheSource): Promise<ImageKey> {
  try {
    const { size, mtimeMs } = await stat(file)
    return { file, width, height, bytes: size, modified: mtimeMs }
  } catch (error) {
    throw new LandmarkDiffusionError(
      'ERR_IMAGE',
      `${file}: cannot be read (${(error as Error).message}); check the path`,
      { cause: error },
    )
  }
}

async function decodeAll(
  samples: readonly CacheSource[],
  canvas: Size,
  { onProgress, signal, threads }: CacheOptions,
): Promise<Uint8Array> {
  const total = samples.length
  const size = canvas.width * canvas.height
  const pixels = new Uint8Array(total * size)
  if (signal?.aborted) throw aborted(signal)
  const pool = new CanvasPool(threads)
  const stop = new AbortController()
  setMaxListeners(0, stop.signal) // one listener a task
  const abort = () => stop.abort()
  signal?.addEventListener('abort', abort, { once: true })
  let done = 0
  try {
    await Promise.all(
      samples.map(async ({ file, width, height }, i) => {
        const result = await pool.fit(file, canvas, { signal: stop.signal })
        if (result.width !== width || result.height !== height)
          throw new LandmarkDiffusionError(
            'ERR_IMAGE',
            `${file}: ${result.width} x ${result.height} pixels, but it was listed with ${width} x ${height}; list the data set again`,
          )
        pixels.set(result.pixels, i * size)
        onProgress?.({ done: ++done, total })
      }),
    )
  } catch (error) {
    stop.abort()
    if (signal?.aborted) throw aborted(signal)
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    await pool.destroy()
  }
  return pixels
}

function aborted(signal: AbortSignal) {
  return new LandmarkDiffusionError('ERR_ABORTED', 'stopped while decoding the images', {
    cause: signal.reason,
  })
}

/** The pixels, or null when the file is absent, damaged, or made from other images. */
async function readCacheFile(file: string, key: Omit<Header, 'crc32'>): Promise<Uint8Array | null> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch {
    return null
  }
  if (bytes.length < 12 || bytes.toString('latin1', 0, 8) !== magic) return null
  const start = 12 + bytes.readUInt32LE(8)
  let header: Header
  try {
    header = JSON.parse(bytes.toString('utf8', 12, start)) as Header
  } catch {
    return null
  }
  const { crc32: checksum, ...rest } = header
  if (JSON.stringify(rest) !== JSON.stringify(key)) return null
  const pixels = new Uint8Array(bytes.buffer, bytes.byteOffset + start, bytes.length - start)
  const expected = key.images.length * key.canvas.width * key.canvas.height
  return pixels.length === expected && crc32(pixels) === checksum ? pixels : null
}

async function writeCacheFile(file: string, header: Header, pixels: Uint8Array): Promise<void> {
  const { crc32: checksum, ...rest } = header
  const json = Buffer.from(JSON.stringify({ ...rest, crc32: checksum }))
  const start = Buffer.alloc(12)
  start.write(magic, 'latin1')
  start.writeUInt32LE(json.length, 8)
  await makeFolder(dirname(file))
  const temporary = `${file}.${process.pid}.tmp`
  try {
    const handle = await open(temporary, 'w')
    try {
      for (const part of [start, json, pixels]) await handle.writeFile(part)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
