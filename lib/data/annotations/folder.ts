/** Folders with a file an image: the text lines of ISBI 2015, Aariz (CEPHA29) with its two orthodontists, and 3D Slicer markups. */

import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { type FileKind, parseJson, readTextFile } from '../../outside-file.js'
import { readCsv } from './csv.js'
import { aarizSet, addAariz, addMarkups, isAariz, type ReadOptions } from './json.js'
import { readMachines } from './machines.js'
import { dataError, idOfFile, nameOfNumber, type PointTable, TableBuilder } from './table.js'

/** Files of one image are short; so is a list of a thousand images. */
const oneImage: FileKind = {
  what: 'annotation file',
  remedy: 'Expected the points of one image.',
  limit: 2 ** 20,
}

/** More files than any data set has. */
const fileLimit = 100_000

async function names(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw dataError(folder, `cannot be read (${error.code})`, 'check it', error)
  })
  if (entries.length > fileLimit)
    throw dataError(folder, `${entries.length} files`, `expected at most ${fileLimit}`)
  return entries.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

async function readObject(path: string): Promise<object> {
  const value = parseJson(await readTextFile(path, oneImage), path, oneImage.what)
  if (typeof value === 'object' && value !== null) return value
  throw dataError(path, 'is no object', 'expected the points of one image')
}

const coordinate = '[+-]?(?:\\d{1,15}\\.?\\d{0,20}|\\.\\d{1,20})(?:[eE][+-]?\\d{1,3})?'
const pointLine = new RegExp(`^\\s*(${coordinate})\\s*,\\s*(${coordinate})\\s*$`)

/** ISBI 2015's text files outside of its folders, as `ID.txt`: a line `x,y` a landmark, after which lines of one integer (the clinical classes) are skipped. */
async function readTextFolder(
  folder: string,
  files: readonly string[],
  set: LandmarkSet | null,
): Promise<PointTable> {
  const table = new TableBuilder('text files with a line x,y a landmark', set)
  for (const file of files) {
    const path = join(folder, file)
    const lines = (await readTextFile(path, oneImage)).trimEnd().split(/\r\n|\n|\r/)
    const found = lines.findIndex((line) => /^\s*-?\d+\s*$/.test(line))
    const points = found < 0 ? lines : lines.slice(0, found)
    for (const [i, line] of points.entries()) {
      const where = `${path}:${i + 1}`
      const match = pointLine.exec(line)
      if (!match) throw dataError(where, `found "${line.slice(0, 40)}"`, 'expected "x,y"')
      const name = nameOfNumber(i + 1, points.length, set, where)
      table.mark(idOfFile(file), name, [Number(match[1]), Number(match[2])], where)
    }
  }
  return table.finish(folder)
}

const aarizPath = join('Annotations', 'Cephalometric Landmarks')
const orthodontists = {
  junior: 'Junior Orthodontists',
  senior: 'Senior Orthodontists',
} as const

/** The split folders of Aariz in `folder`, which may be one itself: [name of the split or null, path]. */
async function aarizParts(folder: string): Promise<[string | null, string][]> {
  const parts: [string | null, string][] = [
    [null, folder],
    ...(await names(folder)).map((name): [string, string] => [
      name.toLowerCase(),
      join(folder, name),
    ]),
  ]
  const found: [string | null, string][] = []
  for (const [split, path] of parts) {
    const inside = await names(join(path, aarizPath))
    if (Object.values(orthodontists).some((name) => inside.includes(name)))
      found.push([split, path])
  }
  return found
}

async function readAariz(
  folder: string,
  parts: readonly [string | null, string][],
  set: LandmarkSet | null,
): Promise<PointTable> {
  const files: { annotator: string; split: string | null; path: string; value: object }[] = []
  for (const [split, part] of parts)
    for (const [annotator, title] of Object.entries(orthodontists)) {
      const home = join(part, aarizPath, title)
      for (const file of (await names(home)).filter((name) => name.endsWith('.json'))) {
        const path = join(home, file)
        files.push({ annotator, split, path, value: await readObject(path) })
      }
    }
  const [first] = files
  const table = new TableBuilder('Aariz folders', set ?? aarizSet(symbolsOf(first?.value)))
  const inSplit = new Set<string>()
  for (const { annotator, split, path, value } of files) {
    const id = idOfFile(path)
    addAariz(table, value, path, id, annotator)
    if (split !== null && !inSplit.has(id)) table.split(split, id)
    inSplit.add(id)
  }
  await addMachines(table, folder, inSplit)
  return table.finish(folder)
}

function symbolsOf(value: object | undefined): string[] {
  const { landmarks } = (value ?? {}) as { landmarks?: unknown }
  return Array.isArray(landmarks)
    ? landmarks.map((entry: { symbol?: unknown } | null) => String(entry?.symbol))
    : []
}

/** Pixel sizes: `cephalogram_machine_mappings.csv` beside the split folders, or one folder above a single split. */
async function addMachines(table: TableBuilder, folder: string, ids: ReadonlySet<string>) {
  const name = 'cephalogram_machine_mappings.csv'
  for (const home of [folder, join(folder, '..')]) {
    if (!(await names(home)).includes(name)) continue
    const path = join(home, name)
    for (const [id, size, where] of readMachines(await readTextFile(path, oneImage), path))
      if (ids.has(id)) table.pixelSize(id, [size, size], where)
    return
  }
}

async function readSlicerFolder(
  folder: string,
  files: readonly string[],
  options: ReadOptions,
): Promise<PointTable> {
  const table = new TableBuilder('3D Slicer markups', options.set)
  for (const file of files) {
    const path = join(folder, file)
    addMarkups(table, await readObject(path), path, options)
  }
  return table.finish(folder)
}

async function readAarizFiles(
  folder: string,
  files: readonly string[],
  set: LandmarkSet | null,
): Promise<PointTable> {
  const table = new TableBuilder('Aariz landmarks', set)
  for (const file of files) {
    const path = join(folder, file)
    addAariz(table, await readObject(path), path, idOfFile(file))
  }
  return table.finish(folder)
}

/** Points of a folder that is not one of ISBI 2015's. @throws ERR_DATA for a folder of nothing that is known */
export async function readFolder(folder: string, options: ReadOptions): Promise<PointTable> {
  const aariz = await aarizParts(folder)
  if (aariz.length > 0) return readAariz(folder, aariz, options.set)
  const files = await names(folder)
  const ending = (extension: string) => files.filter((name) => name.endsWith(extension))
  const [markups, json, text, csv] = [
    ending('.mrk.json'),
    ending('.json'),
    ending('.txt'),
    ending('.csv'),
  ]
  if (markups.length > 0) return readSlicerFolder(folder, markups, options)
  // Any folder may hold some JSON; only that of Aariz is one image a file.
  if (json[0] !== undefined && isAariz(await readObject(join(folder, json[0]))))
    return readAarizFiles(folder, json, options.set)
  if (text.length > 0) return readTextFolder(folder, text, options.set)
  const [table] = csv
  if (table !== undefined && csv.length === 1) {
    const path = join(folder, table)
    return readCsv(await readTextFile(path, oneImage), path, options.set)
  }
  throw dataError(
    folder,
    `${basename(folder)} holds no annotations that are known`,
    'expected AnnotationsByMD (ISBI 2015), Annotations/Cephalometric Landmarks (Aariz), *.mrk.json (3D Slicer) or ID.txt with lines x,y',
  )
}
