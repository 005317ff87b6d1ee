/** An ISBI 2015 folder as an annotation source: two doctors, the challenge's truth, and the official splits. Files are read when their points are asked for. */

import { LandmarkDiffusionError } from '../../errors.js'
import { cephalometric19 } from '../../landmarks/cephalometry.js'
import {
  annotatedIds,
  isbiSplits,
  readAnnotations,
  readDatasetFile,
  type Truth,
} from '../isbi2015.js'
import type { AnnotationSource } from './source.js'

const truths: readonly Truth[] = ['mean', 'senior', 'junior', 'challenge']

/** @param root the folder that holds AnnotationsByMD. @throws ERR_DATA where it has no annotation */
export async function isbiSource(root: string): Promise<AnnotationSource> {
  const annotated = await annotatedIds(root)
  if (annotated.size === 0)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `There is no annotation (400_senior/NNN.txt or 400_junior/NNN.txt) in ${root}. Give the data set's folder, or its AnnotationsByMD folder.`,
    )
  const ids = [...annotated].sort((a, b) => Number(a) - Number(b))
  return {
    format: 'ISBI 2015 folders',
    landmarkSet: cephalometric19,
    ids,
    truths,
    annotators: ['junior', 'senior'],
    splits: new Map(
      Object.entries(isbiSplits).map(([name, { first, last }]) => [
        name,
        ids.filter((id) => Number(id) >= first && Number(id) <= last),
      ]),
    ),
    pixelSizes: new Map(),
    assumedPixelSize: (await readDatasetFile(root)).pixelSize,
    read: (wanted, truth) => readAnnotations(root, wanted, truth as Truth),
  }
}
