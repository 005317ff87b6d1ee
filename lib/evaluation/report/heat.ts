/** Layers of heat over the images: the stored heatmaps of all landmarks in one picture, and the steps of a reverse chain. */

import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { fitCanvas, type Size } from '../../landmarks/geometry.js'
import type { PredictedImage } from '../predictions.js'
import { type TiledHeatmaps, tileGrid } from '../uncertainty/heatmap-file.js'
import type { FilmLayer, Layer } from './content.js'
import { type Decode, type GreyPixels, heatPicture } from './pictures.js'

/** A film strip shows at most so many frames, evenly chosen, first and last included. */
const frameLimit = 12

/** Square root of the share of a landmark's hottest pixel, which keeps a faint second candidate visible; 0 to 255. */
function brightness(log: number): number {
  return Math.round(255 * Math.min(1, Math.exp(log / 2)))
}

/** All heatmaps in one: each pixel as hot as for its hottest landmark. */
export function hottest(maps: TiledHeatmaps): GreyPixels {
  const { width, height, tile, landmarks, coarse, index, values } = maps
  const { rows, columns } = tileGrid(maps)
  const data = new Uint8Array(width * height)
  const fill = (place: number, heatAt: (dx: number, dy: number) => number) => {
    const [left, top] = [(place % columns) * tile, Math.floor(place / columns) * tile]
    for (let y = top; y < Math.min(height, top + tile); y++) {
      for (let x = left; x < Math.min(width, left + tile); x++) {
        const heat = heatAt(x - left, y - top)
        if (heat > (data[y * width + x] as number)) data[y * width + x] = heat
      }
    }
  }
  const count = rows * columns
  const stored = new Set(index)
  for (let at = 0; at < landmarks.length * count; at++) {
    // A tile that is stored pixel by pixel is not drawn by its mean.
    const heat = stored.has(at) ? 0 : brightness(coarse[at] as number)
    if (heat > 0) fill(at % count, () => heat)
  }
  for (const [i, at] of index.entries()) {
    const start = i * tile * tile
    fill(at % count, (dx, dy) => brightness(values[start + dy * tile + dx] as number))
  }
  return { width, height, data }
}

/** Heat is drawn at most so high: the layers of all images are embedded, those of a chain several times. */
const layerHeight = { heatmap: 600, film: 300 }

/** The place of a canvas of `size` pixels on the original; pixel centres are at whole numbers in both. */
function place(
  { width, height }: Size,
  [ox, oy]: readonly [number, number],
  [sx, sy]: readonly [number, number],
): Omit<Layer, 'uri'> {
  return { x: ox + 0.5 - sx / 2, y: oy + 0.5 - sy / 2, width: sx * width, height: sy * height }
}

export async function heatLayer(maps: TiledHeatmaps): Promise<Layer> {
  const uri = await heatPicture(hottest(maps), layerHeight.heatmap)
  return { uri, ...place(maps, maps.origin, maps.step) }
}

/**
 * The steps of one image's chain, from noise to points. Their files must lie in the folder of the predictions file or
 * below it. They are as large as the network's canvas, to which the image was fitted.
 * `remarks` gets a line for each frame that cannot be shown.
 */
export async function filmLayers(
  image: PredictedImage,
  predictionsFile: string,
  decode: Decode,
  remarks: string[],
): Promise<FilmLayer[]> {
  const home = dirname(resolve(predictionsFile))
  const frames = image.filmstrip ?? []
  const last = frames.length - 1
  const slot = (i: number) => Math.floor((i * (frameLimit - 1)) / last)
  const chosen = frames.filter(
    (_, i) => frames.length <= frameLimit || i === last || slot(i) !== slot(i - 1),
  )
  const layers: FilmLayer[] = []
  for (const { t, file } of chosen) {
    const path = resolve(home, file)
    const inside = relative(home, path)
    if (inside.startsWith('..') || isAbsolute(inside)) {
      remarks.push(
        `A frame of image ${image.id} lies outside the folder of the predictions file and is not read.`,
      )
      continue
    }
    try {
      const heat = await decode(path)
      const { a, c, e, f } = fitCanvas(image, heat).inverse()
      const uri = await heatPicture(heat, layerHeight.film)
      layers.push({ t, layer: { uri, ...place(heat, [c, f], [a, e]) } })
    } catch (error) {
      remarks.push(error instanceof Error ? error.message : String(error))
    }
  }
  return layers
}
