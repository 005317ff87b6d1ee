/** JSON files of points in the formats of other software, told apart by their keys. Each format is a schema and the few lines that put its points into a table; docs/formats.md has an example and the source of each. */

import { z } from 'zod'
import { aariz29 } from '../../landmarks/cephalometry.js'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { plainName } from '../../landmarks/match.js'
import { describeIssues, formatPath } from '../../outside-file.js'
import { dataError, idOfFile, nameOfNumber, type PointTable, TableBuilder } from './table.js'

/** What the caller knows beside the file. */
export interface ReadOptions {
  /** Names and order of the landmarks where the file has none. */
  readonly set: LandmarkSet | null
  /** [x, y] in mm of an image, for formats whose points are in mm. */
  readonly pixelSizeOf: (id: string) => readonly [number, number] | null
}

interface JsonFormat {
  readonly name: string
  /** Whether a value looks like this format. */
  readonly fits: (value: Record<string, unknown>) => boolean
  readonly read: (value: object, path: string, options: ReadOptions) => PointTable
}

/** Checks one entry of a file. One at a time, so that a long list of wrong ones is told at its first. */
function check<T>(schema: z.ZodType<T>, value: unknown, path: string, at: PropertyKey[]): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw dataError(path, describeIssues(parsed.error, at).join('; '), 'correct it', parsed.error)
}

const name = z.union([z.string().min(1).max(1000), z.int()]).transform(String)
/** Entries are checked one by one: a list of a million wrong ones would give a million issues. */
const list = z.array(z.unknown())

function nameList(values: readonly unknown[], path: string, at: PropertyKey[]): string[] {
  return values.map((value, i) => check(name, value, path, [...at, i]))
}

/** mm per pixel: one number, a text of one (CL-Detection writes texts), or [x, y]. */
const spacing = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\s*\d{1,9}(\.\d{0,18})?\s*$/, 'is no number')
      .transform(Number),
    z.tuple([z.number(), z.number()]),
  ])
  .transform((value): [number, number] => (Array.isArray(value) ? value : [value, value]))

const predictionsHead = z.looseObject({ landmarks: list, images: list })
const predictedImage = z.looseObject({
  id: name,
  file: z.string().optional(),
  width: z.number().optional(),
  height: z.number().optional(),
  pixelSize: z.tuple([z.number(), z.number()]).nullish(),
  points: list,
})
const pair = z.tuple([z.number(), z.number()]).nullable()

/** Our own predictions file, for those who annotate by correcting predictions. */
const predictionsFormat: JsonFormat = {
  name: 'a predictions file',
  fits: ({ format }) => format === 'landmark-diffusion/predictions',
  read: (value, path, { set }) => {
    const table = new TableBuilder(predictionsFormat.name, set)
    const { landmarks: entries, images } = check(predictionsHead, value, path, [])
    const landmarks = nameList(entries, path, ['landmarks'])
    for (const [i, entry] of images.entries()) {
      const { id, pixelSize, points, ...facts } = check(predictedImage, entry, path, ['images', i])
      const where = `${path}: images[${i}]`
      if (points.length !== landmarks.length)
        throw dataError(
          `${where}.points`,
          `has ${points.length} entries`,
          `expected ${landmarks.length}`,
        )
      const { file, width, height } = facts
      table.image(id, where, {
        ...(file !== undefined && { file }),
        ...(width !== undefined && { width }),
        ...(height !== undefined && { height }),
      })
      if (pixelSize) table.pixelSize(id, pixelSize, where)
      for (const [j, landmark] of landmarks.entries()) {
        const at = ['images', i, 'points', j]
        const point = check(pair, points[j], path, at)
        table.mark(id, landmark, point, `${path}: ${formatPath(at)}`)
      }
    }
    return table.finish(path)
  },
}

const cocoHead = z.looseObject({ images: list, annotations: list, categories: list })
const cocoCategory = z.looseObject({
  id: z.union([z.int(), z.string()]),
  keypoints: list.default([]),
})
const cocoImage = z.looseObject({
  id: z.union([z.int(), z.string()]),
  file_name: z.string().max(10_000),
  width: z.number().optional(),
  height: z.number().optional(),
  spacing: spacing.optional(),
  pixel_size: spacing.optional(),
})
const cocoAnnotation = z.looseObject({
  image_id: z.union([z.int(), z.string()]),
  category_id: z.union([z.int(), z.string()]),
  keypoints: list,
})

/** COCO keypoints. COCO has no place for a pixel size: `spacing` (or `pixel_size`) of an image is ours, in mm. */
const cocoFormat: JsonFormat = {
  name: 'COCO keypoints',
  fits: ({ images, annotations, categories }) => Boolean(images && annotations && categories),
  read: (value, path, { set }) => {
    const table = new TableBuilder(cocoFormat.name, set)
    const { images, annotations, categories } = check(cocoHead, value, path, [])
    const keypoints = new Map(
      categories.map((entry, i) => {
        const category = check(cocoCategory, entry, path, ['categories', i])
        return [category.id, nameList(category.keypoints, path, ['categories', i, 'keypoints'])]
      }),
    )
    const ids = new Map<number | string, string>()
    for (const [i, entry] of images.entries()) {
      const facts = check(cocoImage, entry, path, ['images', i])
      const { id: number, file_name: file, width, height } = facts
      const where = `${path}: images[${i}]`
      const id = idOfFile(file)
      if (ids.has(number)) throw dataError(where, `a second image ${number}`, 'keep one')
      ids.set(number, id)
      const mm = facts.spacing ?? facts.pixel_size
      if (mm) table.pixelSize(id, mm, where)
      table.image(id, where, {
        file,
        ...(width !== undefined && { width }),
        ...(height !== undefined && { height }),
      })
    }
    for (const [i, entry] of annotations.entries()) {
      const where = `${path}: annotations[${i}]`
      const annotation = check(cocoAnnotation, entry, path, ['annotations', i])
      const id = ids.get(annotation.image_id)
      const names = keypoints.get(annotation.category_id)
      if (id === undefined || names === undefined)
        throw dataError(
          where,
          `image ${annotation.image_id} or category ${annotation.category_id} is not in the file`,
          'add it',
        )
      markTriples(table, id, names, annotation.keypoints, `${where}.keypoints`)
    }
    return table.finish(path)
  },
}

/** COCO's flat list x1, y1, v1, x2, ...: v = 0 says that a landmark is not marked. */
function markTriples(
  table: TableBuilder,
  id: string,
  names: readonly string[],
  flat: readonly unknown[],
  where: string,
): void {
  if (flat.length !== 3 * names.length)
    throw dataError(
      where,
      `has ${flat.length} numbers`,
      `expected ${3 * names.length}, three for each of ${names.length} keypoints`,
    )
  for (const [j, landmark] of names.entries()) {
    const [x, y, visible] = flat.slice(3 * j, 3 * j + 3)
    if (typeof x !== 'number' || typeof y !== 'number' || typeof visible !== 'number')
      throw dataError(`${where}[${3 * j}]`, 'is no number', 'expected x, y and visibility')
    table.mark(id, landmark, visible === 0 ? null : [x, y], `${where}[${3 * j}]`)
  }
}

const challengePoint = z.looseObject({
  name,
  point: z.union([
    z.tuple([z.number(), z.number()]),
    z.tuple([z.number(), z.number(), z.number()]),
  ]),
  scale: spacing.optional(),
  spacing: spacing.optional(),
})

/** The list of points of either form that CL-Detection has published, with the key that holds it; null for neither. */
function challengePoints(value: Record<string, unknown>): [PropertyKey[], unknown[]] | null {
  if (Array.isArray(value.points)) return [['points'], value.points]
  const outer = value['Multiple landmarks points']
  const inner = (outer as Record<string, unknown> | undefined)?.['landmarks points']
  return Array.isArray(inner) ? [['Multiple landmarks points', 'landmarks points'], inner] : null
}

/**
 * CL-Detection 2023 (`train-gt.json` and the expected output), and the same with the 53 points of
 * 2024: a list of points [x, y, image number], named by the number of the landmark, with `scale`
 * in mm per pixel in the ground truth.
 */
const challengeFormat: JsonFormat = {
  name: 'CL-Detection points',
  fits: (value) => challengePoints(value) !== null,
  read: (value, path, { set }) => {
    const table = new TableBuilder(challengeFormat.name, set)
    const [key, entries] = challengePoints(value as Record<string, unknown>) ?? [[], []]
    const points = entries.map((entry, i) => check(challengePoint, entry, path, [...key, i]))
    const count = points.reduce((most, point) => Math.max(most, Number(point.name) || 0), 0)
    for (const [i, point] of points.entries()) {
      const where = `${path}: ${formatPath([...key, i])}`
      const [x = 0, y = 0, image] = point.point
      const id = image === undefined ? idOfFile(path) : String(image)
      const landmark = /^\d{1,4}$/.test(point.name)
        ? nameOfNumber(Number(point.name), count, set, where)
        : point.name
      table.mark(id, landmark, [x, y], where)
      const mm = point.scale ?? point.spacing
      if (mm) table.pixelSize(id, mm, where)
    }
    return table.finish(path)
  },
}

const aarizFile = z.looseObject({ ceph_id: z.string().optional(), landmarks: list })
const aarizLandmark = z.looseObject({
  symbol: name,
  value: z.looseObject({ x: z.number(), y: z.number() }).nullable(),
})

/** Puts one file of Aariz, the marks of one orthodontist on one image, into a table. */
export function addAariz(
  table: TableBuilder,
  value: object,
  path: string,
  id: string,
  annotator?: string,
): void {
  const { landmarks } = check(aarizFile, value, path, [])
  table.image(id, path, {}, annotator)
  for (const [i, entry] of landmarks.entries()) {
    const at = ['landmarks', i]
    const { symbol, value: mark } = check(aarizLandmark, entry, path, at)
    table.mark(id, symbol, mark && [mark.x, mark.y], `${path}: ${formatPath(at)}`, annotator)
  }
}

/** Aariz's set if all symbols are of it, in whatever file; else the symbols as they come. */
export function aarizSet(symbols: readonly string[]): LandmarkSet | null {
  const known = new Set(aariz29.landmarks.map((landmark) => landmark.name))
  return symbols.every((symbol) => known.has(plainName(symbol))) ? aariz29 : null
}

/** Whether an object is the marks of one orthodontist on one image. */
export function isAariz({ landmarks }: { landmarks?: unknown }): boolean {
  const [first] = Array.isArray(landmarks) ? (landmarks as unknown[]) : []
  return typeof first === 'object' && first !== null && 'symbol' in first
}

/** A single file of Aariz (CEPHA29). Folders are read by `readFolder`. */
const aarizFormat: JsonFormat = {
  name: 'Aariz landmarks',
  fits: isAariz,
  read: (value, path, { set }) => {
    const table = new TableBuilder(aarizFormat.name, set)
    addAariz(table, value, path, idOfFile(path))
    return table.finish(path)
  },
}

const markupsFile = z.looseObject({ markups: list })
const markups = z.looseObject({
  coordinateSystem: z.enum(['LPS', 'RAS']).default('LPS'),
  coordinateUnits: z.string().default('mm'),
  controlPoints: list,
})
const controlPoint = z.looseObject({
  label: name,
  position: z.tuple([z.number(), z.number(), z.number()]).nullish(),
  positionStatus: z.string().default('defined'),
})

/** Puts the control points of one 3D Slicer file into a table. */
export function addMarkups(
  table: TableBuilder,
  value: object,
  path: string,
  { pixelSizeOf }: ReadOptions,
): void {
  const id = idOfFile(path).replace(/\.mrk$/, '')
  const size = pixelSizeOf(id)
  if (size === null)
    throw dataError(
      path,
      '3D Slicer markups are in millimetres and the pixel size is unknown',
      'give --pixel-size MM',
    )
  table.image(id, path)
  table.pixelSize(id, size, path)
  for (const [i, entry] of check(markupsFile, value, path, []).markups.entries()) {
    const { coordinateSystem, coordinateUnits, controlPoints } = check(markups, entry, path, [
      'markups',
      i,
    ])
    if (coordinateUnits !== 'mm')
      throw dataError(
        `${path}: markups[${i}].coordinateUnits`,
        `is ${coordinateUnits.slice(0, 40)}`,
        'expected mm',
      )
    // RAS and LPS differ in the sign of the first two axes.
    const sign = coordinateSystem === 'RAS' ? -1 : 1
    for (const [j, each] of controlPoints.entries()) {
      const at = ['markups', i, 'controlPoints', j]
      const { label, position, positionStatus } = check(controlPoint, each, path, at)
      const point: [number, number] | null =
        position && positionStatus === 'defined'
          ? [(sign * position[0]) / size[0], (sign * position[1]) / size[1]]
          : null
      table.mark(id, label, point, `${path}: ${formatPath(at)}`)
    }
  }
}

/**
 * A 3D Slicer point list: millimetres in the space of the image loaded as a volume with its pixel
 * size as spacing, identity directions and the origin at the centre of the first pixel.
 */
const slicerFormat: JsonFormat = {
  name: '3D Slicer markups',
  fits: (value) => Array.isArray(value.markups),
  read: (value, path, options) => {
    const table = new TableBuilder(slicerFormat.name, options.set)
    addMarkups(table, value, path, options)
    return table.finish(path)
  },
}

const formats = [predictionsFormat, cocoFormat, challengeFormat, aarizFormat, slicerFormat]

function formatOf(value: unknown): JsonFormat | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return formats.find(({ fits }) => fits(value as Record<string, unknown>))
}

/** Whether a parsed JSON file is points in the format of other software. */
export function isPointJson(value: unknown): boolean {
  const format = formatOf(value)
  return format !== undefined && format !== predictionsFormat
}

/** Points of a parsed JSON file. @throws ERR_DATA with file and key */
export function readJson(value: unknown, path: string, options: ReadOptions): PointTable {
  const format = formatOf(value)
  if (format) return format.read(value as object, path, options)
  throw dataError(
    path,
    'is no format of points that is known',
    `expected ${formats.map((known) => known.name).join(', ')}`,
  )
}
