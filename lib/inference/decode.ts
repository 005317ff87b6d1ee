/** From heatmaps to points on the executor: only peaks and small windows come back to JavaScript, so that a large canvas never blocks the event loop. Same results as `landmarks/heatmap.ts`, which is the readable reference. */

import { type Covariance, combineChains } from '../evaluation/uncertainty/covariance.js'
import { defaultEreCutoff } from '../evaluation/uncertainty/ere.js'
import type { Point } from '../landmarks/geometry.js'
import * as torch from '../torch/index.js'
import type { Config } from '../training/config-schema.js'

type Tensor = torch.Tensor

/** Heatmaps of one landmark each as log-probabilities over the pixels of a canvas. */
export interface Heatmaps {
  /** [K, H * W] */
  readonly logProbabilities: Tensor
  readonly width: number
  readonly height: number
}

/** K heatmaps -> K points in pixels of the canvas, and the hottest pixel of each (y * W + x). */
export async function decodePoints(
  { logProbabilities, width, height }: Heatmaps,
  decode: Config['sampling']['decode'],
): Promise<{ points: Point[]; peaks: number[] }> {
  const peaks = await hottestPixels(logProbabilities)
  switch (decode.method) {
    case 'argmax':
      return { points: peaks.map((peak) => pixelToPoint(peak, width)), peaks }
    case 'topk': {
      const [values, indices] = logProbabilities.topk(Math.min(decode.k, width * height), 1)
      const [logs, pixels] = await Promise.all([values.data(), indices.data()])
      return {
        points: weightedMeans(logs as Float32Array, pixelNumbers(pixels), peaks, width),
        peaks,
      }
    }
    case 'soft-argmax': {
      const windows = peaks.map((peak) => windowPixels(peak, decode.radius, width, height))
      const index = torch.tensor(BigInt64Array.from(windows.flat(), BigInt), {
        shape: [peaks.length, windows[0]?.length ?? 0],
        dtype: 'int64',
        device: logProbabilities.device,
      })
      const logs = await logProbabilities.gather(1, index).data()
      return { points: weightedMeans(logs as Float32Array, windows.flat(), peaks, width), peaks }
    }
  }
}

/** How the probability of one heatmap lies around its hottest pixel. */
export interface Spread {
  /** Expected radial error: mean distance to the hottest pixel of the part above 5 % of its height. */
  ere: number
  /** Mean position in pixels of the canvas. */
  mean: Point
  /** Covariance, within-pixel term included. */
  covariance: Covariance
  /** Its parts within and between the chains, where there are several. */
  within?: Covariance
  between?: Covariance
  /** Probability of the hottest pixel. */
  confidence: number
}

/**
 * K heatmaps and their hottest pixels -> their spreads, where a pixel of the canvas measures
 * `unit` = [x, y] (in mm, or in pixels of the original image). Definitions: jfm15's `evaluate.py`
 * for the expected radial error, each heatmap with its own maximum.
 */
export async function measureSpread(
  { logProbabilities, width, height }: Heatmaps,
  peaks: readonly number[],
  unit: readonly [number, number],
): Promise<Spread[]> {
  const count = peaks.length
  const centres = peaks.map((peak) => pixelToPoint(peak, width))
  const { device } = logProbabilities
  const grid = pixelGrid(width, height, device)
  const offset = (axis: 0 | 1): Tensor =>
    grid[axis]
      .sub(
        torch.tensor(
          Float32Array.from(centres, (c) => c[axis]),
          { shape: [count, 1], device },
        ),
      )
      .mul(unit[axis])
  const dx = offset(0)
  const dy = offset(1)
  const p = logProbabilities.exp()
  const peak = p.amax([1], { keepdim: true })
  const core = p.mul(p.gt(peak.mul(defaultEreCutoff)))
  const distance = dx.square().add(dy.square()).sqrt()
  const px = p.mul(dx)
  const figures = torch.stack(
    [
      core
        .mul(distance)
        .sum([1])
        .div(core.sum([1])),
      px.sum([1]),
      p.mul(dy).sum([1]),
      px.mul(dx).sum([1]),
      px.mul(dy).sum([1]),
      p.mul(dy.square()).sum([1]),
      peak.squeeze(1),
    ],
    1,
  )
  const values = (await figures.data()) as Float32Array
  return peaks.map((_, i) => {
    const [ere = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, confidence = 0] = values.subarray(i * 7)
    const cross = xy - x * y
    const [cx, cy] = centres[i] as [number, number]
    return {
      ere,
      mean: [cx + x / unit[0], cy + y / unit[1]],
      covariance: [
        [xx - x * x + unit[0] ** 2 / 12, cross],
        [cross, yy - y * y + unit[1] ** 2 / 12],
      ],
      confidence,
    }
  })
}

/** The spreads of the mean heatmaps, with their covariances as the sum of the parts within and between the chains (law of total variance). chains: [M][K] */
export function splitSpreads(
  together: readonly Spread[],
  chains: readonly (readonly Spread[])[],
  unit: readonly [number, number],
): Spread[] {
  return together.map((spread, k) => {
    const { total, within, between } = combineChains(
      chains.map((chain) => {
        const { mean, covariance } = chain[k] as Spread
        return { mean: [unit[0] * mean[0], unit[1] * mean[1]], covariance }
      }),
    )
    return { ...spread, covariance: total, within, between }
  })
}

/** x and y of every pixel: two [1, H * W] tensors. */
function pixelGrid(width: number, height: number, device: string): [Tensor, Tensor] {
  const x = new Float32Array(width * height)
  const y = new Float32Array(width * height)
  for (let i = 0; i < x.length; i++) {
    x[i] = i % width
    y[i] = Math.floor(i / width)
  }
  const options = { shape: [1, width * height], device }
  return [torch.tensor(x, options), torch.tensor(y, options)]
}

async function hottestPixels(logProbabilities: Tensor): Promise<number[]> {
  return pixelNumbers(await logProbabilities.argmax(1).data())
}

function pixelNumbers(data: ArrayLike<number | bigint>): number[] {
  return Array.from(data, Number)
}

function pixelToPoint(pixel: number, width: number): [number, number] {
  return [pixel % width, Math.floor(pixel / width)]
}

/** The pixels of the square window around `peak`, itself first; places beyond the border repeat the peak, which `weightedMeans` counts once. */
function windowPixels(peak: number, radius: number, width: number, height: number): number[] {
  const [px, py] = pixelToPoint(peak, width)
  const pixels = [peak]
  for (let y = py - radius; y <= py + radius; y++) {
    for (let x = px - radius; x <= px + radius; x++) {
      if (x === px && y === py) continue
      const inside = x >= 0 && y >= 0 && x < width && y < height
      pixels.push(inside ? y * width + x : peak)
    }
  }
  return pixels
}

/** Mean position of each row of pixels, weighted by the exponential of their logs; a pixel that is listed again counts once. */
function weightedMeans(
  logs: Float32Array,
  pixels: readonly number[],
  peaks: readonly number[],
  width: number,
): Point[] {
  const size = logs.length / peaks.length
  return peaks.map((peak, row) => {
    const [px, py] = pixelToPoint(peak, width)
    const first = row * size
    const highest = logs[first] as number
    let [total, sumX, sumY] = [0, 0, 0]
    for (let i = first; i < first + size; i++) {
      const pixel = pixels[i] as number
      if (i > first && pixel === pixels[first]) continue
      const weight = Math.exp((logs[i] as number) - highest)
      const [x, y] = pixelToPoint(pixel, width)
      total += weight
      sumX += weight * (x - px)
      sumY += weight * (y - py)
    }
    return [px + sumX / total, py + sumY / total]
  })
}
