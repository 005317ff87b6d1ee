/** Opens annotations in any format that the package reads. */

import { basename, dirname, resolve } from 'node:path'
import { isbiSource } from './isbi.js'
import type { AnnotationSource } from './source.js'

export type { AnnotationSource, PointsById } from './source.js'

/** @throws ERR_DATA for annotations that cannot be read, naming file and place */
export async function openAnnotations(path: string): Promise<AnnotationSource> {
  const folder = resolve(path)
  return isbiSource(basename(folder) === 'AnnotationsByMD' ? dirname(folder) : folder)
}
