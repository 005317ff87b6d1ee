/** Opens annotations, or anyone's predictions, in any format that the package reads; the format is told from the contents. */

import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { type FileKind, parseJson, readTextFile } from '../../outside-file.js'
import { readCsv } from './csv.js'
import { readFolder } from './folder.js'
import { isbiSource } from './isbi.js'
import { type ReadOptions, readJson } from './json.js'
import { type AnnotationSource, tableSource } from './source.js'
import type { PointTable } from './table.js'

export { isPointJson } from './json.js'
export type { AnnotationSource } from './source.js'
export type { PointsById, PointTable } from './table.js'

const kind: FileKind = {
  what: 'file of points',
  remedy: 'Give a folder or a file of one of the formats in docs/formats.md.',
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  )
}

/** Points of a file or folder of any format but the folders of ISBI 2015. @throws ERR_DATA naming file and place */
export async function readPointTable(
  path: string,
  options: Partial<ReadOptions> = {},
): Promise<PointTable> {
  const all: ReadOptions = { set: null, pixelSizeOf: () => null, ...options }
  if (await isFolder(path)) return readFolder(path, all)
  const text = await readTextFile(path, kind)
  const json = /\.json$/i.test(path) || /^\s*[{[]/.test(text.slice(0, 1000))
  return json ? readJson(parseJson(text, path, kind.what), path, all) : readCsv(text, path, all.set)
}

/** The folder of a data set that holds AnnotationsByMD, from itself or from that folder; null if this is none. */
async function isbiRoot(path: string): Promise<string | null> {
  const folder = resolve(path)
  if (basename(folder) === 'AnnotationsByMD') return dirname(folder)
  return (await isFolder(join(folder, 'AnnotationsByMD'))) ? folder : null
}

/** @param set names the landmarks where the files do not. @throws ERR_DATA for annotations that cannot be read, naming file and place */
export async function openAnnotations(
  path: string,
  options: { set?: LandmarkSet | null; pixelSize?: readonly [number, number] } = {},
): Promise<AnnotationSource> {
  const root = await isbiRoot(path)
  if (root !== null) return isbiSource(root)
  const { set = null, pixelSize = null } = options
  return tableSource(await readPointTable(path, { set, pixelSizeOf: () => pixelSize }), path)
}
