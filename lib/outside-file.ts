/** Text and JSON files from outside: their size is looked at before anything is read, and every error names the file and the place in it. */

import { open } from 'node:fs/promises'
import type { z } from 'zod'
import { LandmarkDiffusionError } from './errors.js'

/** No file of annotations or predictions needs more (400 images with 100 chains are about 30 MiB), and JSON takes many times its size in memory. */
export const maximumFileSize = 64 * 2 ** 20

/** What a file should be, for messages. */
export interface FileKind {
  /** As in `predictions file`. */
  readonly what: string
  /** What to give instead of a file that cannot be used. */
  readonly remedy: string
  /** Bytes; `maximumFileSize` by default. */
  readonly limit?: number
}

function fileError(message: string, cause?: unknown): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_DATA', message, { cause })
}

/** The text of a regular file that is not too large. @throws ERR_DATA */
export async function readTextFile(
  path: string,
  { what, remedy, limit = maximumFileSize }: FileKind,
): Promise<string> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    const { code } = cause as NodeJS.ErrnoException
    throw fileError(`The ${what} ${path} cannot be opened (${code}). ${remedy}`, cause)
  })
  try {
    // The size is looked at on the open handle, so that the file cannot be exchanged in between.
    const status = await handle.stat()
    if (!status.isFile()) throw fileError(`${path} is not a regular file. ${remedy}`)
    if (status.size > limit)
      throw fileError(
        `The ${what} ${path} has ${Math.round(status.size / 2 ** 20)} MiB; at most ${limit / 2 ** 20} MiB are read. ${remedy}`,
      )
    return decodeText(await handle.readFile())
  } finally {
    await handle.close()
  }
}

/** UTF-8, or UTF-16 where a byte order mark says so, as spreadsheets write it; without the mark. */
function decodeText(bytes: Buffer): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf16le' : 'utf8'
  return bytes.toString(encoding).replace(/^\uFEFF/, '')
}

/** JSON text to a value in which no object has a key `__proto__`, which a later copy could turn into a prototype. @throws ERR_DATA with line and column */
export function parseJson(text: string, path: string, what: string): unknown {
  try {
    if (!/__proto__|\\u005f/i.test(text)) return JSON.parse(text)
    return JSON.parse(text, (key, value) => (key === '__proto__' ? undefined : value))
  } catch (cause) {
    const { message } = cause as Error
    const position = /position (\d+)/.exec(message)?.[1]
    const at = position === undefined ? text.length : Number(position)
    const before = text.slice(0, at)
    const line = before.split('\n').length
    const column = at - before.lastIndexOf('\n')
    throw fileError(
      `The ${what} ${path} is not JSON (line ${line}, column ${column}: ${message}). It may be cut short, or not be a JSON file.`,
      cause,
    )
  }
}

/** `images[3].points[0]`: where in a file a key is. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path)
    text += typeof key === 'number' ? `[${key}]` : `${text === '' ? '' : '.'}${String(key)}`
  return text === '' ? 'the file' : text
}

/** A hostile key or name would fill the screen. */
const issueLength = 300

/** The first wrong keys of a value, each with its path below `prefix`. */
export function describeIssues(error: z.ZodError, prefix: readonly PropertyKey[] = []): string[] {
  return error.issues.slice(0, 3).map(({ path, message }) => {
    const text = `${formatPath([...prefix, ...path])}: ${message}`
    return text.length > issueLength ? `${text.slice(0, issueLength)}...` : text
  })
}
