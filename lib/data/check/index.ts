/** Checks a data set: its files, and what its points tell about how they were made. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { LandmarkDiffusionError } from '../../errors.js'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import type { AnnotationSource } from '../annotations/index.js'
import { idOfFile } from '../annotations/table.js'
import { imageExtensions } from '../image.js'
import type { Finding } from './finding.js'
import { checkPoints } from './points.js'
import type { Shape } from './shape.js'

export type { Finding } from './finding.js'

export interface CheckResult {
  readonly format: string
  readonly landmarkSet: LandmarkSet
  readonly images: number
  readonly annotators: readonly string[]
  /** `px` where not every image has a pixel size: then no length is judged in mm. */
  readonly unit: 'mm' | 'px'
  readonly findings: readonly Finding[]
}

/** Image files below a folder by id; none for a data set that is one file. */
async function imageFiles(path: string): Promise<Map<string, string[]>> {
  const files = new Map<string, string[]>()
  if (!(await stat(path)).isDirectory()) return files
  const extensions = new Set<string>(imageExtensions)
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !extensions.has(extname(entry.name).slice(1).toLowerCase())) continue
    const id = idOfFile(entry.name)
    files.set(id, [...(files.get(id) ?? []), join(entry.parentPath, entry.name)])
  }
  return files
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** Groups of values with the same key, those of one member left out. */
function groups<T>(values: readonly T[], keyOf: (value: T) => string): T[][] {
  const found = new Map<string, T[]>()
  for (const value of values) {
    const group = found.get(keyOf(value))
    if (group) group.push(value)
    else found.set(keyOf(value), [value])
  }
  return [...found.values()].filter((group) => group.length > 1)
}

/** Images of the same bytes. Only files of equal size are read. */
async function duplicateImages(files: ReadonlyMap<string, readonly string[]>): Promise<Finding[]> {
  const sized: { id: string; path: string; size: number }[] = []
  for (const [id, paths] of files)
    for (const path of paths) sized.push({ id, path, size: (await stat(path)).size })
  const hashed: { id: string; path: string; hash: string }[] = []
  for (const group of groups(sized, ({ size }) => String(size)))
    for (const { id, path } of group) hashed.push({ id, path, hash: await digest(path) })
  return groups(hashed, ({ hash }) => hash).map((group) => ({
    kind: 'duplicate image',
    severity: 'problem',
    ids: group.map(({ id }) => id),
    message: `${group.map(({ path }) => path).join(' and ')} are the same file: images that count twice, or stand in two splits.`,
  }))
}

/** Some of a list of ids, in words. */
function some(ids: readonly string[]): string {
  const shown = ids.slice(0, 5).join(', ')
  return ids.length > 5 ? `${shown} and ${ids.length - 5} more` : shown
}

/** Images without annotation and annotations without image, where there are images at all. */
function missingFiles(source: AnnotationSource, files: ReadonlyMap<string, unknown>): Finding[] {
  if (files.size === 0) return []
  const annotated = new Set(source.ids)
  const lost = source.ids.filter((id) => !files.has(id))
  const bare = [...files.keys()].filter((id) => !annotated.has(id))
  const finding = (
    ids: readonly string[],
    kind: Finding['kind'],
    severity: Finding['severity'],
    what: string,
  ): Finding[] =>
    ids.length === 0 ? [] : [{ kind, severity, ids, message: `${what}: ${some(ids)}.` }]
  return [
    ...finding(lost, 'missing image', 'problem', `${lost.length} annotated images have no file`),
    ...finding(bare, 'missing annotation', 'note', `${bare.length} images have no annotation`),
  ]
}

/** The points of every annotator, image by image, so that what cannot be read is one finding and not the end. */
async function readShapes(source: AnnotationSource) {
  const shapes: Shape[] = []
  const findings: Finding[] = []
  let unit: 'mm' | 'px' = 'mm'
  const unscaled = source.ids.filter(
    (id) => !source.pixelSizes.has(id) && source.assumedPixelSize === null,
  )
  if (unscaled.length > 0) {
    unit = 'px'
    findings.push({
      kind: 'unknown pixel size',
      severity: 'note',
      ids: unscaled,
      message: `${unscaled.length} images have no pixel size, so lengths are judged in pixels: ${some(unscaled)}.`,
    })
  }
  for (const annotator of source.annotators)
    for (const id of source.ids) {
      const scale = unit === 'mm' ? (source.pixelSizes.get(id) ?? source.assumedPixelSize) : null
      const [sx, sy] = scale ?? [1, 1]
      try {
        const points = (await source.read([id], annotator)).get(id) ?? []
        shapes.push({
          id,
          annotator,
          points: points.map((point) => point && [sx * point[0], sy * point[1]]),
        })
      } catch (error) {
        if (!(error instanceof LandmarkDiffusionError)) throw error
        findings.push({
          kind: 'unreadable annotation',
          severity: 'problem',
          ids: [id],
          annotator,
          message: error.message,
        })
      }
    }
  return { shapes, findings, unit }
}

/** @param path the data set that `source` was opened from */
export async function checkDataset(path: string, source: AnnotationSource): Promise<CheckResult> {
  const files = await imageFiles(path)
  const { shapes, findings, unit } = await readShapes(source)
  const { landmarkSet, splits } = source
  return {
    format: source.format,
    landmarkSet,
    images: source.ids.length,
    annotators: source.annotators,
    unit,
    findings: [
      ...findings,
      ...missingFiles(source, files),
      ...(await duplicateImages(files)),
      ...checkPoints({ landmarkSet, unit, shapes, splits }),
    ],
  }
}
