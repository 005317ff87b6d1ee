/** Worker thread of the image cache: one image file to one canvas of grey pixels. */
import type { Size } from '../landmarks/geometry.js'
import { decodeImage, resampleToCanvas } from './image.js'

export interface CacheTask {
  file: string
  /** The size that the sample was listed with. */
  width: number
  height: number
  canvas: Size
}

/** An error crosses threads as code and message: structured clones lose the class of an error. */
export type CacheResult = { pixels: Uint8Array } | { code: string; message: string }

export default async function decode(task: CacheTask): Promise<CacheResult> {
  try {
    const image = await decodeImage(task.file)
    if (image.width !== task.width || image.height !== task.height)
      return {
        code: 'ERR_IMAGE',
        message: `${task.file}: ${image.width} x ${image.height} pixels, but it was listed with ${task.width} x ${task.height}; list the data set again`,
      }
    return { pixels: resampleToCanvas(image, task.canvas) }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    return { code: code ?? 'ERR_IMAGE', message }
  }
}
