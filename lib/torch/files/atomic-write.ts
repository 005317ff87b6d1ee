/**
 * Writing a file so that a reader finds either the old one or the new one, whole: temporary file in the same folder,
 * fsync, rename, fsync of the folder. Without the first fsync a crash of the machine may leave an empty file under
 * the final name; without the last one the rename itself may be lost.
 */

import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { LandmarkDiffusionError } from '../../errors.js'

let counter = 0

/**
 * Calls `write` with a new temporary file and puts it in the place of `path` when that is done.
 * On any failure the previous file is untouched and the temporary one is removed; errors of the file system become
 * ERR_CHECKPOINT.
 */
export async function writeAtomically(
  path: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const folder = dirname(path)
  counter += 1
  const temporary = join(folder, `.${basename(path)}.${process.pid}-${counter}.tmp`)
  try {
    await removeAbandoned(folder, basename(path))
    const file = await open(temporary, 'wx')
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw explain(error, path)
  }
}

/** Writes all bytes at the file's position, however many calls that takes. */
export async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  // One write call takes at most 2 GiB - 1 bytes.
  const most = 2 ** 30
  let offset = 0
  while (offset < bytes.byteLength) {
    const length = Math.min(most, bytes.byteLength - offset)
    const { bytesWritten } = await file.write(bytes, offset, length)
    offset += bytesWritten
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some network file systems cannot sync a folder; the file itself is safe.
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(codeOf(error) ?? '')) throw error
  } finally {
    await handle.close()
  }
}

/** Temporary files of processes that were killed while they wrote this file. */
async function removeAbandoned(folder: string, name: string): Promise<void> {
  const prefix = `.${name}.`
  for (const entry of await readdir(folder)) {
    const process = entry.startsWith(prefix)
      ? /^(\d+)-\d+\.tmp$/.exec(entry.slice(prefix.length))
      : null
    if (!process || isAlive(Number(process[1]))) continue
    const path = join(folder, entry)
    // A process of another machine that shares the folder is not known here; its file is young.
    const age =
      Date.now() -
      (await stat(path)
        .then(({ mtimeMs }) => mtimeMs)
        .catch(() => Date.now()))
    if (age > 60_000) await rm(path, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}

function explain(cause: unknown, path: string): unknown {
  const code = codeOf(cause)
  if (cause instanceof LandmarkDiffusionError || code === undefined) return cause
  const fail = (message: string): LandmarkDiffusionError =>
    new LandmarkDiffusionError('ERR_CHECKPOINT', message, { cause })
  const kept = 'A previous file of that name is untouched.'
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return fail(
      `'${path}' could not be saved: the disk is full. ${kept} Free some space and save again.`,
    )
  if (code === 'EFBIG')
    return fail(
      `'${path}' could not be saved: it exceeds the largest file size allowed here. ${kept}`,
    )
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return fail(`'${path}' could not be saved: the folder '${dirname(path)}' does not exist.`)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return fail(`'${path}' could not be saved: no permission to write there (${code}). ${kept}`)
  if (code === 'EISDIR') return fail(`'${path}' could not be saved: it is a folder.`)
  return fail(`'${path}' could not be saved: ${(cause as Error).message}. ${kept}`)
}
