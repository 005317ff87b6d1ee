/** Writing a result so that an existing file is replaced only by a complete new one. */

import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { LandmarkDiffusionError } from '../errors.js'

/** Writes a text beside its target and moves it there; a device or a pipe is written to directly. `what` names the contents in errors. @throws ERR_DATA */
export async function replaceFile(path: string, text: string, what: string): Promise<void> {
  let temporary: string | null = null
  try {
    const existing = await stat(path).catch(() => null)
    if (existing === null || existing.isFile()) {
      // A link stays a link: what it points to is replaced.
      const target = existing === null ? path : await realpath(path)
      temporary = `${target}.${process.pid}.part`
      await writeFile(temporary, text)
      await rename(temporary, target)
    } else {
      // Renaming onto /dev/stdout or a named pipe would replace the device itself.
      await writeFile(path, text)
    }
  } catch (cause) {
    if (temporary !== null) await rm(temporary, { force: true })
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The ${what} cannot be written to ${path} (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}). Check the folder and the space on the disk.`,
      { cause },
    )
  }
}
