/** Decoding and resampling in worker threads, so that neither ever holds up the event loop. */
import { availableParallelism } from 'node:os'
import type { Piscina } from 'piscina'
import { type ErrorCode, LandmarkDiffusionError } from '../errors.js'
import type { Size } from '../landmarks/geometry.js'
import { workerPool } from '../worker-pool.js'
import type { CanvasResult, CanvasTask } from './canvas-worker.js'

/** An image on the network's canvas, by the map of `fitCanvas`. */
export interface CanvasImage {
  /** [canvas.height * canvas.width] grey. */
  readonly pixels: Uint8Array
  /** Size of the original. */
  readonly width: number
  readonly height: number
}

/** Threads start with the first image, and end after a while without any or with `destroy`. */
export class CanvasPool {
  readonly #pool: Piscina<CanvasTask, CanvasResult>

  constructor(threads = availableParallelism()) {
    this.#pool = workerPool(new URL('./canvas-worker.js', import.meta.url), {
      minThreads: 0,
      maxThreads: Math.max(1, threads),
      idleTimeout: 1000,
    })
  }

  /** @throws ERR_IMAGE for an image that cannot be decoded; the signal's AbortError */
  async fit(
    image: CanvasTask['image'],
    { width, height }: Size,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<CanvasImage> {
    const task = { image, canvas: { width, height } }
    const result = await this.#pool.run(task, signal ? { signal } : {})
    if ('code' in result) {
      throw new LandmarkDiffusionError(result.code as ErrorCode, result.message)
    }
    return result
  }

  async destroy(): Promise<void> {
    await this.#pool.destroy()
  }
}
