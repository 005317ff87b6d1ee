/** Pictures beside the predictions: points on the image, one heatmap a landmark, and the film strip of a reverse chain. */

import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import type { GreyImage } from '../data/image.js'
import { resampleToCanvas } from '../data/resample.js'
import type { SampleStep } from '../diffusion/index.js'
import { heatmapFileName } from '../evaluation/uncertainty/heatmap-file.js'
import type { Size } from '../landmarks/geometry.js'
import { makeFolder } from '../output-folder.js'
import * as torch from '../torch/index.js'
import type { Detection } from './detector.js'
import { writeHeatmapFile } from './tiles.js'

/** What a reverse chain believes at one time: for every image of the batch, how hot each pixel is for any landmark. */
export interface FilmFrame {
  t: number
  /** [B * H * W], 0 to 1: square root of the probability as a share of the landmark's greatest, as in the heatmaps. */
  heat: Float32Array
}

/** Keeps `count` evenly spaced estimates of the first chain of a batch; its `onStep` goes to the detector. */
export class FilmRecorder {
  readonly frames: FilmFrame[] = []
  readonly #count: number

  constructor(count = 8) {
    this.#count = count
  }

  readonly onStep = async ({ chain, step, steps, t, x0 }: SampleStep): Promise<void> => {
    if (chain > 0 || !this.#isDue(step, steps)) return
    const heat = await torch.scopeAsync(() => {
      const probabilities = x0.flatten(2).softmax(2)
      const share = probabilities.div(probabilities.amax([2], { keepdim: true }))
      return share.sqrt().amax([1]).data()
    })
    this.frames.push({ t, heat: heat as Float32Array })
  }

  /** The first, the last, and evenly spaced ones between. */
  #isDue(step: number, steps: number): boolean {
    const count = Math.min(this.#count, steps)
    if (count === 0) return false
    if (count === 1) return step === steps
    const slot = (s: number) => Math.floor(((s - 1) * (count - 1)) / (steps - 1))
    return step === 1 || slot(step) > slot(step - 1)
  }
}

/** The image with a ring and a name at every landmark, as JPEG. */
export async function writeOverlay(
  file: string,
  image: GreyImage,
  detection: Detection,
): Promise<void> {
  const { width, height, data } = image
  await greyImage(data, { width, height })
    .composite([{ input: Buffer.from(overlaySvg(detection)) }])
    .jpeg({ quality: 90 })
    .toFile(file)
}

function overlaySvg({ landmarks, width, height }: Detection): string {
  const unit = Math.max(width, height) / 240
  const marks = landmarks.map(({ name, x, y }) => {
    // In SVG the centre of the first pixel is (0.5, 0.5).
    const [cx, cy] = [(x + 0.5).toFixed(1), (y + 0.5).toFixed(1)]
    return (
      `<circle cx="${cx}" cy="${cy}" r="${unit.toFixed(1)}" fill="none" stroke="#ffd400" stroke-width="${(unit / 3).toFixed(1)}"/>` +
      `<circle cx="${cx}" cy="${cy}" r="${(unit / 5).toFixed(1)}" fill="#ffd400"/>` +
      `<text x="${(x + 1.6 * unit).toFixed(1)}" y="${(y - unit).toFixed(1)}">${escapeXml(name)}</text>`
    )
  })
  const style = `font-family="sans-serif" font-size="${(3.5 * unit).toFixed(1)}" fill="#ffd400" stroke="black" stroke-width="${(unit / 3).toFixed(1)}" paint-order="stroke"`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><g ${style}>${marks.join('')}</g></svg>`
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}

/** What was written of one image, as names in its folder. */
export interface HeatmapFiles {
  /** All landmarks over the image. */
  all: string
  /** The steps of the chain in their order. */
  filmstrip: { t: number; file: string }[]
}

/**
 * Writes into `folder`: `N-NAME.png`, one landmark's heatmap each, its hottest pixel white;
 * `all.png`, all of them over the image; `film-T.png`, the heat of all landmarks, for each estimate
 * of the chain, and `film.png`, these side by side over the image; and `heatmaps.safetensors`, the
 * probabilities themselves.
 */
export async function writeHeatmaps(
  folder: string,
  image: GreyImage,
  detection: Detection,
  frames: readonly FilmFrame[],
  place: number,
): Promise<HeatmapFiles> {
  const { heatmaps, landmarks } = detection
  await makeFolder(folder)
  if (!heatmaps) throw new TypeError('the detection was made without heatmaps')
  const { width, height, data, tiles, toOriginal } = heatmaps
  const names = landmarks.map(({ name }) => name)
  const about = { landmarks: names, width, height, toOriginal }
  await writeHeatmapFile(join(folder, heatmapFileName), tiles, about)
  const size = { width, height }
  const pixels = width * height
  const canvas = resampleToCanvas(image, size)
  const hottest = new Float32Array(pixels)
  for (const [n, { name }] of landmarks.entries()) {
    const map = toUnit(data.subarray(n * pixels, (n + 1) * pixels))
    for (let i = 0; i < pixels; i++) hottest[i] = Math.max(hottest[i] ?? 0, map[i] ?? 0)
    const file = `${String(n + 1).padStart(2, '0')}-${name.replaceAll("'", '-soft')}.png`
    await heatImage(map, size).png().toFile(join(folder, file))
  }
  await heatOverImage(canvas, hottest, size).png().toFile(join(folder, 'all.png'))
  const filmstrip: HeatmapFiles['filmstrip'] = []
  const strip: Buffer[] = []
  for (const { t, heat } of frames) {
    const file = `film-${String(t).padStart(4, '0')}.png`
    const own = heat.subarray(place * pixels, (place + 1) * pixels)
    await heatImage(own, size).png().toFile(join(folder, file))
    filmstrip.push({ t, file })
    strip.push(await heatOverImage(canvas, own, size).png().toBuffer())
  }
  if (strip.length > 0) {
    const sideBySide = { across: strip.length, shim: Math.ceil(width / 60) }
    await sharp(strip, { join: sideBySide }).png().toFile(join(folder, 'film.png'))
  }
  return { all: 'all.png', filmstrip }
}

/** Square root of the share of the maximum, which keeps a faint second candidate visible. */
function toUnit(map: Float32Array): Float32Array {
  const maximum = map.reduce((a, b) => Math.max(a, b), 0)
  return map.map((value) => Math.sqrt(value / (maximum || 1)))
}

/** Heat 0 ... 1 as grey, white where it is hottest. */
function heatImage(heat: Float32Array, size: Size): Sharp {
  return greyImage(
    Uint8Array.from(heat, (value) => Math.round(255 * value)),
    size,
  )
}

function greyImage(data: Uint8Array, { width, height }: Size): Sharp {
  return sharp(data, { raw: { width, height, channels: 1 } }).toColourspace('srgb')
}

/** The image, darkened, with heat 0 ... 1 from nothing to yellow. */
function heatOverImage(canvas: Uint8Array, heat: Float32Array, { width, height }: Size) {
  const rgb = new Uint8Array(width * height * 3)
  for (let i = 0; i < heat.length; i++) {
    const grey = 0.6 * (canvas[i] ?? 0)
    const hot = heat[i] ?? 0
    rgb[3 * i] = grey + hot * (255 - grey)
    rgb[3 * i + 1] = grey + hot * (212 - grey)
    rgb[3 * i + 2] = grey * (1 - hot)
  }
  return sharp(rgb, { raw: { width, height, channels: 3 } })
}
