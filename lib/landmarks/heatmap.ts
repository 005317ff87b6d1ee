/**
 * Targets in, points out: one pixel a landmark for training (one-hot heatmaps), and the decoding of
 * a heatmap of logits to a point. Plain typed arrays; the order of pixels is y * width + x.
 */
import { LandmarkDiffusionError } from '../errors.js'
import { isInside, type Point } from './geometry.js'

export type DecodeMethod =
  | { method: 'argmax' }
  | { method: 'topk'; k: number }
  | { method: 'soft-argmax'; radius: number }

/**
 * The target pixel of each landmark: y * width + x, or -1 for a missing point or one whose pixel
 * lies outside. `round` takes the nearest pixel centre, `floor` the next one up and left, as
 * McCouat's code does (0.1 mm worse at 640 x 800).
 */
export function encodeTargets(
  points: readonly (Point | null)[],
  width: number,
  height: number,
  rounding: 'round' | 'floor' = 'round',
): { index: Int32Array } {
  const index = new Int32Array(points.length).fill(-1)
  points.forEach((point, i) => {
    if (!point) return
    const x = rounding === 'round' ? Math.round(point[0]) : Math.floor(point[0])
    const y = rounding === 'round' ? Math.round(point[1]) : Math.floor(point[1])
    if (isInside([x, y], { width, height })) index[i] = y * width + x
  })
  return { index }
}

/**
 * values: [height * width] logits -> point in the heatmap's pixels.
 * - `argmax`: the hottest pixel; among equals the one with the hottest 5 x 5 neighbourhood (clamped
 *   heatmaps have many equals, and a cluster is worth more than a speck), then the first.
 * - `topk`: the k hottest pixels, weighted by the softmax of their logits.
 * - `soft-argmax`: softmax over the square window of this radius around the hottest pixel.
 * Throws ERR_DATA when no value is a number.
 */
export function decodeHeatmap(
  values: Float32Array,
  width: number,
  height: number,
  method: DecodeMethod,
): Point {
  if (values.length !== width * height)
    throw new RangeError(`a heatmap of ${values.length} values is not ${width} x ${height}`)
  const peak = hottestPixel(values, width, height)
  const px = peak % width
  const py = (peak - px) / width
  switch (method.method) {
    case 'argmax':
      return [px, py]
    case 'topk':
      return weightedMean(values, hottestPixels(values, method.k), width, peak)
    case 'soft-argmax': {
      const window: number[] = []
      const { radius } = method
      for (let y = Math.max(0, py - radius); y <= Math.min(height - 1, py + radius); y++)
        for (let x = Math.max(0, px - radius); x <= Math.min(width - 1, px + radius); x++)
          window.push(y * width + x)
      return weightedMean(values, window, width, peak)
    }
  }
}

function hottestPixel(values: Float32Array, width: number, height: number): number {
  let maximum = Number.NEGATIVE_INFINITY
  let ties: number[] = []
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (value > maximum) {
      maximum = value
      ties = [i]
    } else if (value === maximum) ties.push(i)
  }
  if (ties.length === 0 || maximum === Number.NEGATIVE_INFINITY)
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      'a heatmap holds no finite value: the network returned NaN; check the weights and the image',
    )
  if (ties.length === 1) return ties[0] as number
  let best = ties[0] as number
  let bestSum = Number.NEGATIVE_INFINITY
  for (const pixel of ties) {
    const sum = neighbourhoodSum(values, width, height, pixel)
    if (sum > bestSum) {
      bestSum = sum
      best = pixel
    }
  }
  return best
}

/** Sum over 5 x 5 pixels, the nearer the heavier (a pyramid); those beyond the border repeat the nearest one, so that borders are not punished. */
function neighbourhoodSum(
  values: Float32Array,
  width: number,
  height: number,
  pixel: number,
): number {
  const px = pixel % width
  const py = (pixel - px) / width
  let sum = 0
  for (let dy = -2; dy <= 2; dy++) {
    const y = Math.min(height - 1, Math.max(0, py + dy))
    for (let dx = -2; dx <= 2; dx++) {
      const x = Math.min(width - 1, Math.max(0, px + dx))
      sum += (3 - Math.abs(dx)) * (3 - Math.abs(dy)) * (values[y * width + x] as number)
    }
  }
  return sum
}

/** The indices of the k largest values; k is small, so a sorted list of k candidates is kept. */
function hottestPixels(values: Float32Array, k: number): number[] {
  const best: number[] = []
  let threshold = Number.NEGATIVE_INFINITY
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (!(value > threshold) && best.length >= k) continue
    if (Number.isNaN(value)) continue
    let position = best.length
    while (position > 0 && (values[best[position - 1] as number] as number) < value) position--
    best.splice(position, 0, i)
    if (best.length > k) best.pop()
    if (best.length === k) threshold = values[best[k - 1] as number] as number
  }
  return best
}

function weightedMean(
  values: Float32Array,
  pixels: readonly number[],
  width: number,
  peak: number,
): Point {
  const maximum = values[peak] as number
  let total = 0
  let sumX = 0
  let sumY = 0
  for (const pixel of pixels) {
    // A value of +Infinity is its own maximum: Infinity - Infinity would be NaN.
    const value = values[pixel] as number
    const weight = value === maximum ? 1 : Math.exp(value - maximum)
    if (!(weight > 0)) continue
    total += weight
    sumX += weight * (pixel % width)
    sumY += weight * Math.floor(pixel / width)
  }
  return [sumX / total, sumY / total]
}
