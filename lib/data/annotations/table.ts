/** Gathering points image by image into a table, with the checks that every format needs: finite coordinates, one mark a landmark, one pixel size an image. */

import { LandmarkDiffusionError } from '../../errors.js'
import { cephalometric19, clDetection38 } from '../../landmarks/cephalometry.js'
import type { Point } from '../../landmarks/geometry.js'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { plainName } from '../../landmarks/match.js'

/** Points by image id, in the order of the landmark set; null where a landmark is not annotated. */
export type PointsById = ReadonlyMap<string, readonly (Point | null)[]>

/** What a file says of an image beside its points. */
export interface ImageFacts {
  readonly file?: string
  readonly width?: number
  readonly height?: number
}

/** Everything that a file or folder says. */
export interface PointTable {
  /** The format in words, for messages. */
  readonly format: string
  readonly landmarkSet: LandmarkSet
  /** Points by annotator; one entry named `annotator` where the format knows only one. */
  readonly annotators: ReadonlyMap<string, PointsById>
  readonly images: ReadonlyMap<string, ImageFacts>
  /** [x, y] in mm by image id, where the format says it. */
  readonly pixelSizes: ReadonlyMap<string, readonly [number, number]>
  /** Named subsets of the ids. */
  readonly splits: ReadonlyMap<string, readonly string[]>
}

/** The name of the only annotator of formats that do not name one. */
export const anAnnotator = 'annotator'

/** More than any data set has; they bound what a hostile file can cost. */
const limits = { landmarks: 1000, images: 100_000, name: 200, coordinate: 1e6, millimetres: 1000 }

/** A hostile name or cell would fill the screen. */
const problemLength = 300

/** `where` is a file with a line or a key. */
export function dataError(where: string, problem: string, remedy: string, cause?: unknown) {
  const short = problem.length > problemLength ? `${problem.slice(0, problemLength)}...` : problem
  return new LandmarkDiffusionError('ERR_DATA', `${where}: ${short}; ${remedy}`, { cause })
}

/** The id of an image from its path: the file's name without folder and extension. */
export function idOfFile(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
  return name.replace(/\.(bmp|png|jpe?g|tiff?|webp|gif|dcm|mha|json|txt|csv)$/i, '')
}

export class TableBuilder {
  readonly #format: string
  readonly #set: LandmarkSet | null
  /** Position of each landmark by plain name, in the order of appearance. */
  readonly #positions = new Map<string, number>()
  readonly #names: string[] = []
  readonly #marks = new Map<string, Map<string, Map<number, Point>>>()
  readonly #images = new Map<string, ImageFacts>()
  readonly #pixelSizes = new Map<string, readonly [number, number]>()
  readonly #splits = new Map<string, string[]>()

  /** @param set the set that the names belong to; without one the names are taken as they come */
  constructor(format: string, set: LandmarkSet | null) {
    this.#format = format
    this.#set = set
  }

  /** Declares an image, so that it is known even if none of its landmarks is marked. */
  image(id: string, where: string, facts: ImageFacts = {}, annotator = anAnnotator): void {
    if (id === '') throw dataError(where, 'the image has no id', 'name the image')
    for (const name of [id, annotator])
      if (name.length > limits.name)
        throw dataError(where, `the name ${name} is too long`, 'shorten it')
    if (!this.#images.has(id) && this.#images.size >= limits.images)
      throw dataError(where, `more than ${limits.images} images`, 'split the file')
    this.#images.set(id, { ...this.#images.get(id), ...facts })
    this.#ofAnnotator(annotator, id)
  }

  /** A landmark of this name exists, marked or not. */
  landmark(name: string, where: string): number {
    const plain = plainName(name)
    const known = this.#positions.get(plain)
    if (known !== undefined) return known
    if (plain === '') throw dataError(where, 'a landmark has no name', 'name it')
    if (plain.length > limits.name)
      throw dataError(where, `the landmark name ${plain} is too long`, 'shorten it')
    if (this.#names.length >= limits.landmarks)
      throw dataError(where, `more than ${limits.landmarks} landmarks`, 'check the names')
    this.#positions.set(plain, this.#names.length)
    this.#names.push(plain)
    return this.#names.length - 1
  }

  /** A mark in pixels of the original image; null for a landmark that is not marked. @throws ERR_DATA for a second mark of the same landmark */
  mark(
    id: string,
    name: string,
    point: readonly [number, number] | null,
    where: string,
    annotator = anAnnotator,
  ): void {
    this.image(id, where, {}, annotator)
    const position = this.landmark(name, where)
    const marks = this.#ofAnnotator(annotator, id)
    if (point === null) return
    if (point.some((value) => !(Math.abs(value) <= limits.coordinate)))
      throw dataError(
        where,
        `the point ${point.join(', ')} of landmark ${name} is no place in an image`,
        'expected two finite numbers of pixels',
      )
    if (marks.has(position))
      throw dataError(where, `landmark ${name} of image '${id}' is marked twice`, 'keep one mark')
    marks.set(position, [point[0], point[1]])
  }

  /** mm per pixel of an image. @throws ERR_DATA for an impossible one, and for a second, different one */
  pixelSize(id: string, size: readonly [number, number], where: string): void {
    if (size.some((value) => !(value > 0 && value <= limits.millimetres)))
      throw dataError(
        where,
        `a pixel size of ${size.join(' x ')} mm`,
        `expected mm above 0, at most ${limits.millimetres}`,
      )
    const before = this.#pixelSizes.get(id)
    if (before && (before[0] !== size[0] || before[1] !== size[1]))
      throw dataError(
        where,
        `image '${id}' has a second pixel size, ${size.join(' x ')} beside ${before.join(' x ')} mm`,
        'keep one',
      )
    this.#pixelSizes.set(id, size)
  }

  split(name: string, id: string): void {
    const ids = this.#splits.get(name)
    if (ids === undefined) this.#splits.set(name, [id])
    else ids.push(id)
  }

  /** @throws ERR_DATA where nothing was found, or where the names are not those of the given set */
  finish(where: string): PointTable {
    if (this.#images.size === 0)
      throw dataError(where, 'there is no image', `expected ${this.#format}`)
    if (this.#names.length === 0)
      throw dataError(where, 'there is no landmark', `expected ${this.#format}`)
    const landmarkSet = this.#set ?? setOfNames(this.#names)
    const names = landmarkSet.landmarks.map(({ name }) => plainName(name))
    const foreign = this.#names.filter((name) => !names.includes(name))
    if (foreign.length > 0)
      throw dataError(
        where,
        `landmark ${foreign[0]} is not in the landmark set ${landmarkSet.name}`,
        'choose another landmark set',
      )
    const positions = names.map((name) => this.#positions.get(name))
    const annotators = new Map(
      [...this.#marks].map(([annotator, byId]): [string, PointsById] => [
        annotator,
        new Map(
          [...byId].map(([id, marks]) => [
            id,
            positions.map((position) =>
              position === undefined ? null : (marks.get(position) ?? null),
            ),
          ]),
        ),
      ]),
    )
    return {
      format: this.#format,
      landmarkSet,
      annotators,
      images: this.#images,
      pixelSizes: this.#pixelSizes,
      splits: this.#splits,
    }
  }

  #ofAnnotator(annotator: string, id: string): Map<number, Point> {
    const byId = this.#marks.get(annotator) ?? new Map<string, Map<number, Point>>()
    this.#marks.set(annotator, byId)
    const marks = byId.get(id) ?? new Map<number, Point>()
    byId.set(id, marks)
    return marks
  }
}

/** A set made of the names alone. Cephalometric names keep what is known of them. */
function setOfNames(names: readonly string[]): LandmarkSet {
  const known = new Map(
    [...clDetection38.landmarks, ...cephalometric19.landmarks].map((landmark) => [
      landmark.name,
      landmark,
    ]),
  )
  return {
    name: `${names.length} landmarks`,
    landmarks: names.map((name) => known.get(name) ?? { name, label: name }),
    disputed: (cephalometric19.disputed ?? []).filter((name) => names.includes(name)),
    lengths: (cephalometric19.lengths ?? []).filter(({ between }) =>
      between.every((name) => names.includes(name)),
    ),
  }
}

/**
 * The name of the landmark with this number, counted from 1: that of the set, or where none was
 * given that of the set of public cephalogram data with so many landmarks, else the number itself.
 */
export function nameOfNumber(
  number: number,
  count: number,
  set: LandmarkSet | null,
  where: string,
): string {
  const numbered =
    set ?? [cephalometric19, clDetection38].find((known) => known.landmarks.length === count)
  if (!numbered) return String(number)
  const landmark = numbered.landmarks[number - 1]
  if (landmark) return landmark.name
  throw dataError(
    where,
    `landmark number ${number}`,
    `the landmark set ${numbered.name} has ${numbered.landmarks.length}`,
  )
}
