/** Reading entries of a zip file into memory, with limits: sizes, ratio, and the checksum that yauzl leaves to its user. */

import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import * as yauzl from 'yauzl'
import { LandmarkDiffusionError } from '../../errors.js'

/** The contents of an open zip file. */
export interface ZipContents {
  readonly names: readonly string[]
  /** Size of the zip file itself. */
  readonly totalBytes: number
  /** The whole entry, in memory of its own; its checksum was compared. */
  read(name: string): Promise<Uint8Array>
}

/** The promise half of yauzl 3, which its type package does not know yet. */
interface YauzlPromises {
  fromRandomAccessReaderPromise(
    reader: yauzl.RandomAccessReader,
    totalSize: number,
    options: yauzl.Options,
  ): Promise<PromiseZipFile>
}
interface PromiseZipFile {
  eachEntry(): AsyncIterable<yauzl.Entry>
  openReadStreamPromise(entry: yauzl.Entry): Promise<Readable>
}

/** Bytes read at once. */
const chunkSize = 2 ** 20

/**
 * Reads only inside of the file. yauzl passes the offsets of a zip64 record on as they are, and `fs` throws for those that
 * no file can have: in a callback, where nothing could catch it and the process would end.
 */
class BoundedReader extends yauzl.RandomAccessReader {
  readonly #file: FileHandle
  readonly #size: number

  constructor(file: FileHandle, size: number) {
    super()
    this.#file = file
    this.#size = size
  }

  #holds(start: number, end: number): boolean {
    return start >= 0 && start <= end && end <= this.#size
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    if (this.#holds(position, position + length))
      this.#file
        .read(buffer, offset, length, position)
        .then(({ bytesRead }) => callback(null, bytesRead), callback)
    else setImmediate(callback, new Error('an offset outside of the file'))
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#chunks(start, end), { objectMode: false })
  }

  // Not a stream of `fs`, which closes the file when it is destroyed.
  async *#chunks(start: number, end: number): AsyncGenerator<Buffer> {
    if (!this.#holds(start, end)) throw new Error('an offset outside of the file')
    for (let position = start; position < end; ) {
      const chunk = Buffer.allocUnsafe(Math.min(chunkSize, end - position))
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.byteLength, position)
      if (bytesRead === 0) return
      yield chunk.subarray(0, bytesRead)
      position += bytesRead
    }
  }
}

const maxEntries = 1_000_000
/** Entries unpack to at most this many times the file's size: PyTorch stores without compression. */
const maxRatio = 16

/** Reads the table of contents of an open file. `source` names it in errors. */
export async function openZip(file: FileHandle, source: string): Promise<ZipContents> {
  const fail = (reason: string, cause?: unknown): LandmarkDiffusionError =>
    new LandmarkDiffusionError('ERR_CHECKPOINT', `'${source}' cannot be read: ${reason}.`, {
      cause,
    })
  const totalBytes = (await file.stat()).size
  const entries = new Map<string, yauzl.Entry>()
  let zip: PromiseZipFile
  try {
    const promises = yauzl as unknown as YauzlPromises
    zip = await promises.fromRandomAccessReaderPromise(
      new BoundedReader(file, totalBytes),
      totalBytes,
      {
        lazyEntries: true,
        autoClose: false,
        validateEntrySizes: true,
      },
    )
    let unpacked = 0
    for await (const entry of zip.eachEntry()) {
      unpacked += entry.uncompressedSize
      if (unpacked > Math.max(maxRatio * totalBytes, 2 ** 24))
        throw fail('it would unpack to far more than its own size, as no file of PyTorch does')
      if (entries.size >= maxEntries || entries.has(entry.fileName))
        throw fail(`it has too many entries, or '${entry.fileName}' twice`)
      entries.set(entry.fileName, entry)
    }
  } catch (cause) {
    if (cause instanceof LandmarkDiffusionError) throw cause
    throw fail(`its zip structure is damaged or was cut off (${(cause as Error).message})`, cause)
  }

  return {
    names: [...entries.keys()],
    totalBytes,
    async read(name) {
      const entry = entries.get(name)
      if (!entry) throw fail(`it has no entry '${name}'`)
      const bytes = new Uint8Array(entry.uncompressedSize)
      let length = 0
      try {
        for await (const chunk of (await zip.openReadStreamPromise(
          entry,
        )) as AsyncIterable<Buffer>) {
          if (length + chunk.byteLength > bytes.byteLength) throw new Error('longer than declared')
          bytes.set(chunk, length)
          length += chunk.byteLength
        }
        if (length !== bytes.byteLength) throw new Error('shorter than declared')
      } catch (cause) {
        throw fail(
          `its entry '${name}' is damaged or was cut off (${(cause as Error).message})`,
          cause,
        )
      }
      if (crc32(bytes) !== entry.crc32)
        throw fail(`the checksum of its entry '${name}' is wrong; it is damaged`)
      return bytes
    },
  }
}
