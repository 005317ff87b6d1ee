/** Heatmaps made small enough to keep, on the executor: the hottest tiles pixel by pixel and the mean of every tile, as docs/heatmap-files.md describes and `evaluation/uncertainty` reads. */

import type { Affine } from '../landmarks/geometry.js'
import { writeSafetensors } from '../torch/files/safetensors.js'
import * as torch from '../torch/index.js'
import type { Heatmaps } from './decode.js'

/** Side of a tile in pixels of the canvas. */
const side = 16
/** Tiles are stored until they hold all but this much of the probability, ... */
const omitted = 1e-4
/** ... or until so many are stored: 16 384 pixels a landmark. */
const maximumTiles = 64
/** Logarithms below this one, relative to the hottest pixel, are raised to it: float32 has no smaller normal probability. */
const floor = Math.log(2 ** -126)

/** N heatmaps in tiles; the tensors of the file, in the bits of float16 where they are logarithms. */
export interface HeatmapTiles {
  /** [N, rows, columns] */
  coarse: Uint16Array
  shape: [number, number, number]
  /** [M] and [M, side, side] */
  index: Int32Array
  values: Uint16Array
}

/** [N, H * W] log-probabilities -> tiles. */
export async function tileHeatmaps({
  logProbabilities,
  width,
  height,
}: Heatmaps): Promise<HeatmapTiles> {
  const landmarks = logProbabilities.shape[0] as number
  const [rows, columns] = [Math.ceil(height / side), Math.ceil(width / side)]
  const count = rows * columns
  const pixels = Float32Array.from({ length: count }, (_, t) => {
    const w = Math.min(side, width - (t % columns) * side)
    return w * Math.min(side, height - Math.floor(t / columns) * side)
  })
  const relative = logProbabilities
    .sub(logProbabilities.amax([1], { keepdim: true }))
    .clampMin(floor)
    .reshape([landmarks, height, width])
  const beyond = [0, columns * side - width, 0, rows * side - height]
  const tiles = torch
    .constantPadNd(relative, beyond, Number.NEGATIVE_INFINITY)
    .reshape([landmarks, rows, side, columns, side])
    .permute([0, 1, 3, 2, 4])
    .reshape([landmarks, count, side * side])
  const sums = tiles.logsumexp(2)
  const coarse = sums.sub(
    torch.tensor(pixels, { shape: [1, count], device: logProbabilities.device }).log(),
  )
  const most = Math.min(maximumTiles, count)
  const [, order] = sums.topk(most, 1)
  const hottest = tiles.gather(1, order.unsqueeze(2).expand([landmarks, most, side * side]))
  const [means, logSums, places, values] = await Promise.all([
    coarse.to('float16').data() as Promise<Uint16Array>,
    sums.data() as Promise<Float32Array>,
    order.data() as Promise<BigInt64Array>,
    hottest.to('float16').data() as Promise<Uint16Array>,
  ])
  const kept: { index: number; from: number }[] = []
  for (let n = 0; n < landmarks; n++) {
    const own = logSums.subarray(n * count, (n + 1) * count)
    const total = own.reduce((sum, log) => sum + Math.exp(log), 0)
    let held = 0
    for (let k = 0; k < most && held < (1 - omitted) * total; k++) {
      const place = Number(places[n * most + k])
      held += Math.exp(own[place] as number)
      kept.push({ index: n * count + place, from: n * most + k })
    }
  }
  kept.sort((a, b) => a.index - b.index)
  const area = side * side
  const stored = new Uint16Array(kept.length * area)
  for (const [i, { from }] of kept.entries())
    stored.set(values.subarray(from * area, (from + 1) * area), i * area)
  return {
    coarse: means,
    shape: [landmarks, rows, columns],
    index: Int32Array.from(kept, ({ index }) => index),
    values: stored,
  }
}

/** Writes the heatmaps of one image; a crash leaves no half a file. `toOriginal` maps pixels of the canvas to those of the original. */
export async function writeHeatmapFile(
  file: string,
  { coarse, shape, index, values }: HeatmapTiles,
  about: { landmarks: readonly string[]; width: number; height: number; toOriginal: Affine },
): Promise<void> {
  const { landmarks, width, height, toOriginal } = about
  const bytes = ({ buffer, byteOffset, byteLength }: Uint16Array | Int32Array) =>
    new Uint8Array(buffer, byteOffset, byteLength)
  const description = {
    landmarks,
    width,
    height,
    tile: side,
    origin: [toOriginal.c, toOriginal.f],
    step: [toOriginal.a, toOriginal.e],
  }
  await writeSafetensors(
    file,
    [
      ['coarse', { dtype: 'float16', shape, data: bytes(coarse) }],
      ['index', { dtype: 'int32', shape: [index.length], data: bytes(index) }],
      ['values', { dtype: 'float16', shape: [index.length, side, side], data: bytes(values) }],
    ],
    {
      format: 'landmark-diffusion/heatmaps',
      version: '1',
      description: JSON.stringify(description),
    },
  )
}
