/** Worker thread of `synthesize`: draws one cephalogram and writes its image and annotation files. */
import { rename, writeFile } from 'node:fs/promises'
import sharp from 'sharp'
import type { Point, Size } from '../../landmarks/geometry.js'
import { renderCephalogram } from './render.js'

export interface SynthesisTask extends Size {
  seed: number
  index: number
  image: string
  /** Annotation files of the two observers. */
  annotations: [string, string]
}

/** The image comes last and by a rename: where it exists, the sample is whole. */
export default async function synthesizeOne(task: SynthesisTask): Promise<void> {
  const { width, height, data, doctors } = renderCephalogram(task.seed, task.index, task)
  const text = (points: readonly Point[]) => points.map((point) => `${point.join(',')}\n`).join('')
  await writeFile(task.annotations[0], text(doctors[0]))
  await writeFile(task.annotations[1], text(doctors[1]))
  const png = await sharp(data, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer()
  const temporary = `${task.image}.tmp`
  await writeFile(temporary, png)
  await rename(temporary, task.image)
}
