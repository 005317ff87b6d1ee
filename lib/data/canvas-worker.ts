/** Worker thread of `CanvasPool`: one image to one canvas of grey pixels. */
import type { Size } from '../landmarks/geometry.js'
import { decodeImage, type GreyImage, resampleToCanvas } from './image.js'

export interface CanvasTask {
  /** A file, an encoded image, or grey pixels. */
  image: string | Uint8Array | GreyImage
  canvas: Size
}

/** An error crosses threads as code and message: structured clones lose the class of an error. */
export type CanvasResult = ({ pixels: Uint8Array } & Size) | { code: string; message: string }

export default async function toCanvas({ image, canvas }: CanvasTask): Promise<CanvasResult> {
  try {
    const encoded = typeof image === 'string' || image instanceof Uint8Array
    const grey = encoded ? await decodeImage(image) : image
    return { pixels: resampleToCanvas(grey, canvas), width: grey.width, height: grey.height }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    return { code: code ?? 'ERR_IMAGE', message }
  }
}
