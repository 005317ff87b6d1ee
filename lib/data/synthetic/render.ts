/**
 * One synthetic lateral cephalogram: the skull's parts are posed, their densities added up layer by
 * layer, turned into grey by the film's characteristic curve, and spoilt as exposures are.
 */

import { cephalometric19 } from '../../landmarks/cephalometry.js'
import { Affine, type Point, type Size } from '../../landmarks/geometry.js'
import { Random } from '../random.js'
import { drawAnatomy, type LandmarkName } from './anatomy.js'
import { DensityCanvas } from './raster.js'
import { buildParts, type Layer } from './structures.js'

/** The area of an ISBI 2015 film, mm. */
const film = { width: 193.5, height: 240 }

/** Standard deviation of the edge blur of each layer, mm. */
const layerBlur: Record<Layer, number> = { deep: 9, soft: 3, bone: 0.9, sharp: 0 }

export interface SyntheticCephalogram extends Size {
  /** [height * width] grey */
  readonly data: Uint8Array
  /** The 19 landmarks where they were drawn, in pixels, unrounded. */
  readonly points: readonly Point[]
  /** Two observers' points: whole pixels, as in annotation files. */
  readonly doctors: readonly [readonly Point[], readonly Point[]]
}

/** Millimetres a pixel at this size: the film fits, its proportions are kept. */
export function syntheticPixelSize(size: Size): number {
  return Math.max(film.width / size.width, film.height / size.height)
}

/** Equal seed, index and size give equal images. Takes about 0.1 s at 484 x 600. */
export function renderCephalogram(seed: number, index: number, size: Size): SyntheticCephalogram {
  // The first draw whose landmarks all lie on the film: a technician repeats the others.
  for (let attempt = 0; ; attempt++) {
    const random = new Random(seed, index, attempt)
    const anatomy = drawAnatomy(random)
    const pose = drawPose(random, size)
    const points = cephalometric19.landmarks.map(({ name }) =>
      pose.apply(anatomy.landmarks[name as LandmarkName]),
    )
    const margin = 4 / syntheticPixelSize(size)
    const { width, height } = size
    const inside = ([x, y]: Point) =>
      x > margin && y > margin && x < width - margin && y < height - margin
    if (!points.every(inside) && attempt < 50) continue
    // Streams of their own, so that a change in one thing drawn leaves the others as they were.
    const density = drawDensity(
      buildParts(anatomy, new Random(seed, index, attempt, 1)),
      pose,
      size,
    )
    drawForeignObjects(density, new Random(seed, index, attempt, 2), size)
    const data = expose(density, new Random(seed, index, attempt, 3))
    const observer = new Random(seed, index, attempt, 4)
    return {
      width,
      height,
      data,
      points,
      doctors: [observe(points, observer, size), observe(points, observer, size)],
    }
  }
}

/** Skull millimetres to pixels: the head's size, tilt and place on the film. */
function drawPose(random: Random, size: Size): Affine {
  const pixelSize = syntheticPixelSize(size)
  const scale = Math.min(1.15, Math.max(0.87, random.normal(1, 0.05)))
  const tilt = (Math.min(13, Math.max(-13, random.normal(0, 4.5))) * Math.PI) / 180
  // The cephalostat holds the head by the ears: it turns about them.
  return Affine.scaling(scale)
    .followedBy(Affine.about([-20, 17], Affine.rotation(tilt)))
    .followedBy(Affine.translation(random.normal(80, 5), random.normal(102, 5)))
    .followedBy(Affine.scaling(1 / pixelSize))
    .followedBy(Affine.translation(-0.5, -0.5))
}

function drawDensity(
  parts: ReturnType<typeof buildParts>,
  pose: Affine,
  size: Size,
): DensityCanvas {
  const { width, height } = size
  const pixelsPerMm = Math.hypot(pose.a, pose.d)
  const total = new DensityCanvas(width, height)
  for (const layer of Object.keys(layerBlur) as Layer[]) {
    const canvas = new DensityCanvas(width, height)
    for (const part of parts) {
      if (part.layer !== layer) continue
      const posed = (part.kind === 'fill' ? part.outline : part.line).map((p) => pose.apply(p))
      if (part.kind === 'fill') canvas.fill(posed, part.density)
      // A line thinner than a pixel keeps its mass: wider and fainter.
      else {
        const sigma = Math.max(0.5, part.width * pixelsPerMm)
        canvas.stroke(posed, sigma, (part.density * part.width * pixelsPerMm) / sigma)
      }
    }
    canvas.blur(layerBlur[layer] * pixelsPerMm)
    total.add(canvas)
  }
  return total
}

/** Ear rod, ruler and side marker, as clinics leave them in the picture. */
function drawForeignObjects(canvas: DensityCanvas, random: Random, size: Size): void {
  const pixelsPerMm = 1 / syntheticPixelSize(size)
  const at = (x: number, y: number): Point => [x * pixelsPerMm - 0.5, y * pixelsPerMm - 0.5]
  const sigma = Math.max(0.5, 0.35 * pixelsPerMm)
  if (random.uniform() < 0.5) {
    const x = random.uniform(168, 178)
    const top = random.uniform(18, 40)
    canvas.stroke([at(x, top), at(x, top + 50)], sigma, 0.8)
    for (let mm = 0; mm <= 50; mm += 5)
      canvas.stroke([at(x, top + mm), at(x + (mm % 10 ? 2.5 : 5), top + mm)], sigma, 0.8)
  }
  if (random.uniform() < 0.4) {
    const x = random.uniform(150, 175)
    const y = random.uniform(195, 220)
    const letters =
      random.uniform() < 0.5
        ? [[0, 0, 0, 12, 7, 12]]
        : [
            [0, 12, 0, 0, 5, 0, 7, 3, 5, 6, 0, 6],
            [3, 6, 7, 12],
          ]
    for (const strokes of letters) {
      const line: Point[] = []
      for (let i = 0; i < strokes.length; i += 2)
        line.push(at(x + (strokes[i] as number), y + (strokes[i + 1] as number)))
      canvas.stroke(line, 2.2 * sigma, 1.2)
    }
  }
  if (random.uniform() < 0.35) {
    // A forehead rest.
    const y = random.uniform(60, 85)
    canvas.fill(
      [at(160, y), at(194, y - 4), at(194, y + 3), at(160, y + 5)],
      random.uniform(0.05, 0.15),
    )
  }
}

/** Densities to grey: scatter, texture, exposure, film curve, blur, noise. */
function expose(canvas: DensityCanvas, random: Random): Uint8Array {
  const { width, height, data } = canvas
  const pixelsPerMm = 1 / syntheticPixelSize(canvas)
  const texture = cloud(random, width, height, 7 * pixelsPerMm)
  const grain = cloud(random, width, height, 1.4 * pixelsPerMm)
  const [gradientX, gradientY] = [random.normal(0, 0.06), random.normal(0, 0.06)]
  const exposure = random.uniform(0.85, 1.25)
  const gamma = random.uniform(0.8, 1.35)
  const fog = random.uniform(0, 0.05)
  const white = random.uniform(225, 255)
  const film = new Float32Array(width * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      const tissue = Math.max(0, data[i] as number)
      const varied = tissue * (1 + 0.07 * (texture[i] as number) + 0.05 * (grain[i] as number))
      const light = exposure * (1 + gradientX * (x / width - 0.5) + gradientY * (y / height - 0.5))
      film[i] = white * (fog + (1 - fog) * (1 - Math.exp(-1.5 * varied * light)) ** gamma)
    }
  const sharpness = random.uniform(0.15, 0.45)
  blurFilm(film, canvas, sharpness * pixelsPerMm)
  const noise = random.uniform(2, 7)
  const grey = new Uint8Array(width * height)
  for (let i = 0; i < grey.length; i++) {
    // The sum of four bytes is nearly normal, with a standard deviation of 147.8.
    const bits = random.bits()
    const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24)
    const level = film[i] as number
    const spread = noise * (0.4 + 0.6 * Math.sqrt(level / 255))
    grey[i] = Math.min(255, Math.max(0, Math.round(level + (spread * (sum - 510)) / 147.8)))
  }
  return grey
}

function blurFilm(film: Float32Array, size: Size, sigma: number): void {
  const canvas = new DensityCanvas(size.width, size.height)
  canvas.data.set(film)
  canvas.blur(sigma)
  film.set(canvas.data)
}

/** Smooth noise between -1 and 1: random values on a grid of `cell` pixels, bilinear between. */
function cloud(random: Random, width: number, height: number, cell: number): Float32Array {
  const size = Math.max(1, cell)
  const columns = Math.ceil(width / size) + 2
  const rows = Math.ceil(height / size) + 2
  const grid = Float32Array.from({ length: columns * rows }, () => random.uniform(-1, 1))
  const out = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    const gy = y / size
    const row = Math.floor(gy)
    const ty = gy - row
    for (let x = 0; x < width; x++) {
      const gx = x / size
      const column = Math.floor(gx)
      const tx = gx - column
      const i = row * columns + column
      const top = (grid[i] as number) * (1 - tx) + (grid[i + 1] as number) * tx
      const bottom =
        (grid[i + columns] as number) * (1 - tx) + (grid[i + columns + 1] as number) * tx
      out[y * width + x] = top * (1 - ty) + bottom * ty
    }
  }
  return out
}

/** How well the two observers agree on each landmark: standard deviation of an axis, mm. */
const observerSpread: Record<LandmarkName, number> = {
  S: 0.35,
  N: 0.5,
  Or: 0.7,
  Po: 0.7,
  A: 0.7,
  B: 0.7,
  Pog: 0.5,
  Me: 0.5,
  Gn: 0.4,
  Go: 0.8,
  L1: 0.35,
  U1: 0.3,
  UL: 0.5,
  LL: 0.5,
  Sn: 0.5,
  "Pog'": 0.8,
  PNS: 0.6,
  ANS: 0.6,
  Ar: 0.6,
}

function observe(points: readonly Point[], random: Random, size: Size): Point[] {
  const pixelSize = syntheticPixelSize(size)
  return points.map(([x, y], i): Point => {
    const spread = observerSpread[cephalometric19.landmarks[i]?.name as LandmarkName] / pixelSize
    return [Math.round(x + random.normal(0, spread)), Math.round(y + random.normal(0, spread))]
  })
}
