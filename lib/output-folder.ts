/** Folders that a user names for results. */

import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { LandmarkDiffusionError } from './errors.js'

/**
 * Makes `folder`, and the folders above it that are missing; nothing where it is there already.
 *
 * Not mkdir's `recursive`, which never comes back where a file system says ENOENT below a folder that exists, as
 * /proc does.
 * @throws ERR_DATA where it cannot be made
 */
export async function makeFolder(folder: string): Promise<void> {
  const path = resolve(folder)
  try {
    await make(path)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The folder '${folder}' cannot be made (${code ?? message}); give a folder below one that can be written to.`,
      { cause },
    )
  }
}

async function make(path: string): Promise<void> {
  const problem = await attempt(path)
  if (problem === null) return
  const above = dirname(path)
  if (problem.code !== 'ENOENT' || above === path || (await isFolder(above))) throw problem
  await make(above)
  const again = await attempt(path)
  if (again !== null) throw again
}

/** null where the folder is there afterwards. */
async function attempt(path: string): Promise<NodeJS.ErrnoException | null> {
  try {
    await mkdir(path)
    return null
  } catch (error) {
    return (await isFolder(path)) ? null : (error as NodeJS.ErrnoException)
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}
