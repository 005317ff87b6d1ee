// Makes a folder that a user named, and those above it that are missing. Plain Node, because the setup needs it before
// anything is compiled; the library has its own in lib/output-folder.ts.
import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const isFolder = (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/**
 * Not mkdirSync's `recursive`, which never comes back where a file system says ENOENT below a folder that exists, as
 * /proc does.
 * @param {string} folder
 * @throws the file system's error
 */
export function makeFolder(folder) {
  const path = resolve(folder)
  const above = dirname(path)
  if (isFolder(path)) return
  if (above !== path) makeFolder(above)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have been faster.
    if (!isFolder(path)) throw error
  }
}
