/**
 * The images of a data set where they are trained on: uploaded once as uint8 (400 of 640 x 800 are 205 MB), so that a
 * batch is no more than a list of their numbers, and a step on a GPU waits for no pixel.
 */
import type { Size } from '../landmarks/geometry.js'
import * as torch from '../torch/index.js'
import type { ImageCache } from './cache.js'

export class ResidentImages implements Size, Disposable {
  readonly width: number
  readonly height: number
  readonly length: number
  /** uint8 [length, 1, H, W] */
  readonly #pixels: torch.Tensor

  /** Copies the pixels: those of `cache` are not used afterwards. */
  constructor({ pixels, length, width, height }: ImageCache, device = 'cpu') {
    this.width = width
    this.height = height
    this.length = length
    const shape = [length, 1, height, width]
    this.#pixels = torch.keep(torch.tensor(pixels, { shape, dtype: 'uint8', device }))
  }

  /**
   * Operations on tensors alone, fit for a program.
   * @param indices int64 [B], on the device of the images
   * @returns float32 [B, 1, H, W], 0 ... 255
   */
  batch(indices: torch.Tensor): torch.Tensor {
    return torch.scope(() => this.#pixels.indexSelect(0, indices).to('float32'))
  }

  [Symbol.dispose](): void {
    this.#pixels.dispose()
  }
}
