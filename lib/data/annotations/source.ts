/** What every annotation format is read into: images with their truths by name, whatever the landmark set and the number of annotators. */

import { LandmarkDiffusionError } from '../../errors.js'
import type { Point } from '../../landmarks/geometry.js'
import type { LandmarkSet } from '../../landmarks/landmark-set.js'
import { anAnnotator, type PointsById, type PointTable } from './table.js'

/** Annotations of a data set in any format. */
export interface AnnotationSource {
  /** The format in words, for messages. */
  readonly format: string
  readonly landmarkSet: LandmarkSet
  /** Annotated images, in order. */
  readonly ids: readonly string[]
  /** Names of the truths that can be read; the first is the default. */
  readonly truths: readonly string[]
  /** Names of the truths that are single annotators. */
  readonly annotators: readonly string[]
  /** Named subsets of the ids. */
  readonly splits: ReadonlyMap<string, readonly string[]>
  /** [x, y] in mm by image id, where the annotations say it. */
  readonly pixelSizes: ReadonlyMap<string, readonly [number, number]>
  /** What stands in for images whose pixel size nothing says; null when there is nothing. */
  readonly assumedPixelSize: readonly [number, number] | null
  /** Points of these images. @throws ERR_DATA naming file and place, also for an id without annotation */
  read(ids: readonly string[], truth: string): Promise<PointsById>
}

/** A mean is only taken of points that all annotators marked: half of them would be another truth. */
function meanPoints(lists: readonly (readonly (Point | null)[])[]): (Point | null)[] {
  return (lists[0] ?? []).map((_, j) => {
    const marks = lists.map((list) => list[j]).filter((point) => point != null)
    if (marks.length < lists.length) return null
    const mean = (axis: 0 | 1) => marks.reduce((sum, point) => sum + point[axis], 0) / marks.length
    return [mean(0), mean(1)]
  })
}

/** The source of a table that lies in memory. Truths: `mean`, which for one annotator is that annotator, and each annotator by name. */
export function tableSource(table: PointTable, where: string): AnnotationSource {
  const { format, landmarkSet, annotators, pixelSizes, splits } = table
  const ids = [...new Set([...annotators.values()].flatMap((points) => [...points.keys()]))]
  const names = [...annotators.keys()]
  return {
    format,
    landmarkSet,
    ids,
    truths: names.length === 1 && names[0] === anAnnotator ? ['mean'] : ['mean', ...names],
    annotators: names,
    splits,
    pixelSizes,
    assumedPixelSize: null,
    read: async (wanted, truth) => {
      const used = truth === 'mean' ? names : names.filter((name) => name === truth)
      if (used.length === 0)
        throw new LandmarkDiffusionError(
          'ERR_USAGE',
          `${where} has no truth '${truth}': choose one of ${['mean', ...names].join(', ')}.`,
        )
      return new Map(
        wanted.map((id) => {
          const lists = used.map((name) => {
            const points = annotators.get(name)?.get(id)
            if (points) return points
            throw new LandmarkDiffusionError(
              'ERR_DATA',
              `${where}: image '${id}' has no points by '${name}'; add them or choose another truth or split`,
            )
          })
          return [id, meanPoints(lists)]
        }),
      )
    },
  }
}
