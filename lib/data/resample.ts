/**
 * Resampling to the network's canvas. Written out here because the map must be the geometry
 * module's to a hundredth of a pixel, which libvips' multi-stage reduction does not promise.
 */
import { paddedSize, type Size } from '../landmarks/geometry.js'
import type { GreyImage } from './image.js'

/**
 * The image on a canvas, by the map of `fitCanvas`: padded with black at the right or the bottom and
 * resized in one step. Separable cubic kernel (Keys, a = -0.5), widened by the reduction so that it
 * does not alias; it agrees with Pillow's BICUBIC.
 * @returns [canvas.height * canvas.width] grey
 */
export function resampleToCanvas(image: GreyImage, canvas: Size): Uint8Array {
  const padded = paddedSize(image, canvas)
  const columns = kernelTaps(padded.width, canvas.width)
  const rows = kernelTaps(padded.height, canvas.height)
  const { width, height, data } = image
  // Across: only rows that exist; the padding below is zero and adds nothing.
  const across = new Float32Array(canvas.width * height)
  for (let y = 0; y < height; y++) {
    const row = y * width
    for (let x = 0; x < canvas.width; x++) {
      const start = columns.start[x] as number
      const end = Math.min(columns.end[x] as number, width)
      const offset = x * columns.size - start
      let sum = 0
      for (let i = start; i < end; i++)
        sum += (columns.weights[offset + i] as number) * (data[row + i] as number)
      across[y * canvas.width + x] = sum
    }
  }
  const out = new Uint8Array(canvas.width * canvas.height)
  const line = new Float32Array(canvas.width)
  for (let y = 0; y < canvas.height; y++) {
    const start = rows.start[y] as number
    const end = Math.min(rows.end[y] as number, height)
    line.fill(0.5)
    for (let i = start; i < end; i++) {
      const weight = rows.weights[y * rows.size + i - start] as number
      const row = i * canvas.width
      for (let x = 0; x < canvas.width; x++)
        line[x] = (line[x] as number) + weight * (across[row + x] as number)
    }
    for (let x = 0; x < canvas.width; x++)
      out[y * canvas.width + x] = Math.min(255, Math.max(0, Math.floor(line[x] as number)))
  }
  return out
}

/** For each output pixel the first and last source pixel, and the normalised weights between. */
function kernelTaps(from: number, to: number) {
  const scale = from / to
  const widen = Math.max(1, scale)
  const size = Math.ceil(4 * widen) + 2
  const start = new Int32Array(to)
  const end = new Int32Array(to)
  const weights = new Float64Array(to * size)
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale - 0.5
    const first = Math.max(0, Math.ceil(centre - 2 * widen))
    const last = Math.min(from - 1, Math.floor(centre + 2 * widen))
    start[i] = first
    end[i] = last + 1
    let sum = 0
    for (let j = first; j <= last; j++) sum += cubic((j - centre) / widen)
    for (let j = first; j <= last; j++)
      weights[i * size + j - first] = cubic((j - centre) / widen) / sum
  }
  return { start, end, weights, size }
}

function cubic(position: number): number {
  const x = Math.abs(position)
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2
  return 0
}
