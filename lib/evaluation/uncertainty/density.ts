/** One landmark's heatmap as a probability over the pixels of its canvas, made of cells in which it is constant: single pixels where they were stored, whole tiles elsewhere. */

import { LandmarkDiffusionError } from '../../errors.js'
import { type TiledHeatmaps, tileGrid } from './heatmap-file.js'

/** Where the cells lie on the canvas; those of a tile follow one another, row by row. */
interface Layout {
  readonly width: number
  readonly height: number
  readonly tile: number
  readonly columns: number
  /** [tiles + 1]: first cell of each tile. */
  readonly starts: Int32Array
  /** Centre of each cell in pixels of the canvas. */
  readonly x: Float32Array
  readonly y: Float32Array
  /** Pixels that each cell spans on either axis; 1 and 1 for a pixel. */
  readonly spanX: Uint16Array
  readonly spanY: Uint16Array
  /** The cells, hottest first; every temperature keeps this order. */
  readonly order: Uint32Array
}

export class Density {
  readonly layout: Layout
  /** Logarithm of the probability of one pixel of each cell; over all pixels the probabilities add up to 1. */
  readonly logs: Float64Array
  /** Probability of one pixel of each cell. */
  readonly perPixel: Float64Array
  /** Probability of each cell. */
  readonly mass: Float64Array

  private constructor(layout: Layout, raw: ArrayLike<number>) {
    const count = raw.length
    const [logs, perPixel, mass] = [0, 0, 0].map(() => new Float64Array(count)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ]
    let total = 0
    for (let i = 0; i < count; i++) total += pixelsOf(layout, i) * Math.exp(raw[i] as number)
    const offset = Math.log(total)
    for (let i = 0; i < count; i++) {
      const log = (raw[i] as number) - offset
      const p = Math.exp(log)
      logs[i] = log
      perPixel[i] = p
      mass[i] = p * pixelsOf(layout, i)
    }
    this.layout = layout
    this.logs = logs
    this.perPixel = perPixel
    this.mass = mass
  }

  /** The heatmap of the landmark at this place of the file. @throws ERR_DATA for a heatmap that is empty everywhere, or too large */
  static of(maps: TiledHeatmaps, landmark: number): Density {
    const { width, height, tile, coarse, values } = maps
    const { rows, columns } = tileGrid(maps)
    const first = landmark * rows * columns
    const places = Array.from({ length: rows * columns }, (_, t) => {
      const [left, top] = [(t % columns) * tile, Math.floor(t / columns) * tile]
      const [w, h] = [Math.min(tile, width - left), Math.min(tile, height - top)]
      return { left, top, w, h, stored: find(maps.index, first + t) }
    })
    const starts = new Int32Array(places.length + 1)
    for (const [t, { w, h, stored }] of places.entries())
      starts[t + 1] = (starts[t] as number) + (stored < 0 ? 1 : w * h)
    const count = starts[places.length] as number
    const refuse = (reason: string) =>
      new LandmarkDiffusionError(
        'ERR_DATA',
        `The stored heatmap of landmark ${maps.landmarks[landmark]} ${reason}. Predict it again.`,
      )
    if (count > maximumCells) throw refuse(`has more than ${maximumCells} pixels and tiles`)
    const x = new Float32Array(count)
    const y = new Float32Array(count)
    const spanX = new Uint16Array(count).fill(1)
    const spanY = new Uint16Array(count).fill(1)
    const raw = new Float32Array(count)
    for (const [t, { left, top, w, h, stored }] of places.entries()) {
      const start = starts[t] as number
      if (stored < 0) {
        x[start] = left + (w - 1) / 2
        y[start] = top + (h - 1) / 2
        spanX[start] = w
        spanY[start] = h
        raw[start] = coarse[first + t] as number
        continue
      }
      for (let dy = 0, i = start; dy < h; dy++) {
        for (let dx = 0; dx < w; dx++, i++) {
          x[i] = left + dx
          y[i] = top + dy
          raw[i] = values[(stored * tile + dy) * tile + dx] as number
        }
      }
    }
    const order = hottestFirst(raw)
    if (raw[order[0] as number] === Number.NEGATIVE_INFINITY) throw refuse('is empty everywhere')
    return new Density({ width, height, tile, columns, starts, x, y, spanX, spanY, order }, raw)
  }

  /** p^(1/T), normalised (temperature scaling, Guo et al. 2017): softer for T > 1. A tile's mean stands for its pixels. */
  tempered(temperature: number): Density {
    if (temperature === 1) return this
    return new Density(
      this.layout,
      this.logs.map((value) => value / temperature),
    )
  }

  /** The hottest cell, the first among equals. */
  get hottest(): number {
    return this.layout.order[0] as number
  }

  /** The cell of the pixel around a point of the canvas; null outside. */
  cellAt([x, y]: readonly [number, number]): number | null {
    const { width, height, tile, columns, starts } = this.layout
    const [px, py] = [Math.round(x), Math.round(y)]
    if (!(px >= 0 && py >= 0 && px < width && py < height)) return null
    const [column, row] = [Math.floor(px / tile), Math.floor(py / tile)]
    const t = row * columns + column
    const start = starts[t] as number
    if ((starts[t + 1] as number) - start === 1) return start
    const w = Math.min(tile, width - column * tile)
    return start + (py - row * tile) * w + (px - column * tile)
  }
}

/** Place of a value in an ascending list; -1 where it is absent. */
function find(list: Int32Array, value: number): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((list[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return list[low] === value ? low : -1
}

/** Pixels that a cell spans. */
export function pixelsOf({ spanX, spanY }: Pick<Layout, 'spanX' | 'spanY'>, cell: number): number {
  return (spanX[cell] as number) * (spanY[cell] as number)
}

/** More cells than this are not sorted. */
const maximumCells = 2 ** 21

/**
 * Places of logarithms <= 0 in descending order, equal ones in their own. A comparator would take most of the time of an
 * evaluation, so each value's bits (without the sign: the nearer to 0, the smaller) and its place are sorted as one
 * whole number below 2^53.
 */
function hottestFirst(logs: Float32Array): Uint32Array {
  const bits = new Uint32Array(logs.buffer, logs.byteOffset, logs.length)
  const keys = new Float64Array(logs.length)
  for (let i = 0; i < keys.length; i++)
    keys[i] = ((bits[i] as number) & 0x7fffffff) * maximumCells + i
  keys.sort()
  const order = new Uint32Array(keys.length)
  for (let i = 0; i < keys.length; i++) order[i] = (keys[i] as number) % maximumCells
  return order
}
