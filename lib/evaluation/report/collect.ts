/** Reads the images of a report one after the other, and brings everything that is known of each to the same landmarks and to its own pixels. */

import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import type { Annotations } from '../errors.js'
import { worstPoints } from '../parts/worst.js'
import type { Point, PredictedImage } from '../predictions.js'
import { isCovariance, pointMoments, scaleCovariance } from '../uncertainty/covariance.js'
import { heatmapFileName, readHeatmaps, type TiledHeatmaps } from '../uncertainty/heatmap-file.js'
import type {
  Case,
  FilmLayer,
  LandmarkCloud,
  Layer,
  ReportContent,
  Spread,
  Zoom,
} from './content.js'
import { filmLayers, heatLayer } from './heat.js'
import type { ReportOptions } from './index.js'
import {
  cropPicture,
  isReduced,
  originalPicture,
  type Rectangle,
  readPixels,
  smallPicture,
} from './pictures.js'
import { worstFirst } from './sections/every-image.js'

/** Pictures at the original resolution are embedded up to so many characters altogether. */
const originalsLimit = 14e6

/** A cut-out around an error shows at least so many mm on each side, and no more pixels than this. */
const zoomReach = { millimetres: 12, pixels: 320 }

type Collected = Pick<ReportContent, 'landmarks' | 'cases' | 'zooms' | 'shape' | 'remarks'>

export async function collect(options: ReportOptions): Promise<Collected> {
  const { predictions, scores = null, images = null, decode, onProgress } = options
  const { worst = 150, originals = 24, strips = 12, zooms: zoomCount = 12 } = options
  const names = scores?.errors.landmarks ?? predictions.landmarks
  const chosen = choose(options, worst)
  const zoomed = scores ? worstPoints(scores.errors, zoomCount) : []
  const remarks: string[] = []
  const cases: Case[] = []
  const zooms: Zoom[] = []
  let [originalCount, originalSize] = [0, 0]
  let stripCount = 0
  // While one image is encoded the next one is read; memory stays that of two.
  const read = (image: PredictedImage | undefined) => {
    const reading = image ? readPixels(image, images, decode) : null
    // A failure is met when its turn comes; if an earlier image ends the report first, nobody waits for it.
    reading?.catch(() => {})
    return reading
  }
  let next = read(chosen[0])
  for (const [c, image] of chosen.entries()) {
    const pixels = (await next) as Awaited<NonNullable<typeof next>>
    next = read(chosen[c + 1])
    const known = describe(image, names, options)
    const whole =
      typeof pixels === 'string' ? { missing: pixels } : { uri: await smallPicture(pixels) }
    let original: string | null = null
    const wanted = originalCount < originals && originalSize < originalsLimit && isReduced(image)
    if (wanted && typeof pixels !== 'string') {
      original = await originalPicture(pixels)
      originalCount++
      originalSize += original.length
    }
    const film: FilmLayer[] =
      stripCount < strips ? await filmLayers(image, options.predictionsPath, decode, remarks) : []
    if (film.length > 0) stripCount++
    const heat = await storedHeat(image, options, remarks)
    const shown: Case = { ...known, picture: whole, original, film, heat }
    cases.push(shown)
    for (const point of zoomed.filter(({ id }) => id === image.id)) {
      const landmark = names.indexOf(point.landmark)
      const part = cutOut(shown, landmark)
      if (part === null) continue
      const uri = typeof pixels === 'string' ? null : await cropPicture(pixels, part)
      zooms.push({ shown, landmark, error: point.error, crop: { ...part, uri } })
    }
    onProgress?.(cases.length, chosen.length)
  }
  const rank = new Map(zoomed.map(({ id, landmark }, i) => [`${landmark} ${id}`, i]))
  const rankOf = ({ shown, landmark }: Zoom) =>
    rank.get(`${names[landmark]} ${shown.image.id}`) ?? 0
  zooms.sort((a, b) => rankOf(a) - rankOf(b))
  return { landmarks: names, cases, zooms, shape: meanShape(names, options), remarks }
}

/** The images to show, worst first; in the order of the file where there are no scores. */
function choose({ predictions, scores = null }: ReportOptions, worst: number): PredictedImage[] {
  if (scores === null) return predictions.images.slice(0, worst)
  const byId = new Map(predictions.images.map((image) => [image.id, image]))
  return [...scores.result.perImage]
    .sort(worstFirst)
    .slice(0, worst)
    .map(({ id }) => byId.get(id))
    .filter((image) => image !== undefined)
}

/** Points of one image in the order of `names`, from a list in the order of `landmarks`. */
function pick(
  points: readonly (Point | null)[] | undefined,
  landmarks: readonly string[],
  names: readonly string[],
): (Point | null)[] | null {
  if (points === undefined) return null
  return names.map((name) => points[landmarks.indexOf(name)] ?? null)
}

/** Everything of an image but its pictures. */
function describe(image: PredictedImage, names: readonly string[], options: ReportOptions) {
  const { predictions, landmarks = predictions.landmarks, scores = null } = options
  const of = (annotations: Annotations | null | undefined) =>
    pick(annotations?.get(image.id), landmarks, names)
  const row = scores?.errors.ids.indexOf(image.id) ?? -1
  const columns = names.length
  const scale = image.pixelSize ?? options.pixelSize ?? null
  const chains = (image.chains ?? []).map(
    (points) => pick(points, predictions.landmarks, names) ?? [],
  )
  return {
    image,
    landmarks: names,
    predicted: pick(image.points, predictions.landmarks, names) ?? [],
    truth: of(options.truth),
    junior: of(options.junior),
    senior: of(options.senior),
    chains,
    spreads: names.map((name, j) =>
      spreadOf(
        image,
        predictions.landmarks.indexOf(name),
        chains.map((points) => points[j] ?? null),
      ),
    ),
    expected: names.map((name) => {
      const ere = image.uncertainty?.[predictions.landmarks.indexOf(name)]?.ere ?? Number.NaN
      // Without a pixel size of its own the file counts in pixels.
      return image.pixelSize ? ere : scale ? ere * Math.sqrt(scale[0] * scale[1]) : Number.NaN
    }),
    errors:
      scores && row >= 0
        ? [...scores.errors.values.subarray(row * columns, (row + 1) * columns)]
        : null,
    scale,
  }
}

/** Centre and covariance in pixels: those of the file, or of the points of three or more chains. */
function spreadOf(
  image: PredictedImage,
  landmark: number,
  chains: readonly (Point | null)[],
): Spread | null {
  const point = image.points[landmark]
  const { covariance, mean = point } = image.uncertainty?.[landmark] ?? {}
  if (covariance && mean && isCovariance(covariance)) {
    const [sx, sy] = image.pixelSize ?? [1, 1]
    return { centre: mean, covariance: scaleCovariance(covariance, [1 / sx, 1 / sy]) }
  }
  const drawn = chains.filter((drawnPoint) => drawnPoint !== null)
  if (drawn.length < 3) return null
  const moments = pointMoments(drawn)
  const unbiased = Math.sqrt(drawn.length / (drawn.length - 1))
  const own = scaleCovariance(moments.covariance, [unbiased, unbiased])
  return isCovariance(own) ? { centre: moments.mean, covariance: own } : null
}

/** Heatmaps that were promised and cannot be read are a remark: the report has more to show. */
async function storedHeat(
  image: PredictedImage,
  { heatmaps, predictionsPath }: ReportOptions,
  remarks: string[],
): Promise<Layer | null> {
  const reader = heatmaps ?? namedHeatmaps(image, predictionsPath)
  if (reader === null) return null
  try {
    return await heatLayer(await reader(image.id))
  } catch (error) {
    remarks.push(error instanceof Error ? error.message : String(error))
    return null
  }
}

/** `heatmaps` of an image names the picture beside which its file lies; one outside of the predictions file's folder is not read. */
function namedHeatmaps(
  { heatmaps }: PredictedImage,
  predictionsPath: string,
): ((id: string) => Promise<TiledHeatmaps>) | null {
  if (typeof heatmaps !== 'string') return null
  const home = dirname(resolve(predictionsPath))
  const path = join(dirname(resolve(home, heatmaps)), heatmapFileName)
  const inside = relative(home, path)
  return inside.startsWith('..') || isAbsolute(inside) ? null : () => readHeatmaps(path)
}

/** The part of an image around an error; null where the place of neither truth nor prediction is in it. */
function cutOut({ image, predicted, truth, scale }: Case, landmark: number): Rectangle | null {
  const [a, b] = [truth?.[landmark], predicted[landmark]]
  const centre = a && b ? ([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] as const) : (a ?? b)
  if (!centre) return null
  const [sx, sy] = scale ?? [1, 1]
  const between = a && b ? Math.max(Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])) : 0
  const least = zoomReach.millimetres / Math.max(sx, sy)
  const half = Math.min(zoomReach.pixels, Math.max(least, 0.75 * between))
  const side = Math.round(Math.min(2 * half, image.width, image.height))
  const start = (middle: number, size: number) =>
    Math.max(0, Math.min(size - side, Math.round(middle - side / 2)))
  return {
    left: start(centre[0], image.width),
    top: start(centre[1], image.height),
    width: side,
    height: side,
  }
}

/** The mean true shape in mm with the errors around it. */
function meanShape(names: readonly string[], options: ReportOptions): LandmarkCloud[] | null {
  const { predictions, scores = null, truth, landmarks = predictions.landmarks } = options
  if (scores === null || !truth) return null
  const scored = predictions.images.filter(({ id }) => scores.errors.ids.includes(id))
  const clouds = names.flatMap((name): LandmarkCloud[] => {
    const pairs = scored.flatMap((image) => {
      const marked = truth.get(image.id)?.[landmarks.indexOf(name)]
      const found = image.points[predictions.landmarks.indexOf(name)]
      const [sx, sy] = image.pixelSize ?? options.pixelSize ?? [1, 1]
      if (!marked || !found) return []
      const place: Point = [sx * marked[0], sy * marked[1]]
      return { place, error: [sx * found[0] - place[0], sy * found[1] - place[1]] as Point }
    })
    if (pairs.length < 2) return []
    const errors = pointMoments(pairs.map(({ error }) => error))
    const places = pointMoments(pairs.map(({ place }) => place))
    return [{ name, place: places.mean, bias: errors.mean, covariance: errors.covariance }]
  })
  return clouds.length === 0 ? null : clouds
}
