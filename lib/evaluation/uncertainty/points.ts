/** What the predictions, or their stored heatmaps, say of the uncertainty of each annotated point, in mm; the common ground of everything in this folder. */

import { LandmarkDiffusionError } from '../../errors.js'
import { offsets, type Pairing, scaleOf, scoredPairs } from '../errors.js'
import type { Point, PointUncertainty, PredictedImage } from '../predictions.js'
import { mean } from '../statistics/descriptive.js'
import {
  type Covariance,
  densityMoments,
  isCovariance,
  pointMoments,
  scaleCovariance,
} from './covariance.js'
import { Density } from './density.js'
import { expectedRadialError } from './ere.js'
import type { TiledHeatmaps } from './heatmap-file.js'

/** Predictions and annotations as `evaluate` takes them, and where the heatmaps of an image are. */
export interface UncertaintySource extends Pairing {
  /** The stored heatmaps of an image; without them the figures of the predictions file serve. */
  heatmaps?: (id: string) => Promise<TiledHeatmaps>
}

/** One found and annotated point. NaN and null: not known. */
export interface UncertainPoint {
  image: string
  /** Place in the list of scored landmarks. */
  landmark: number
  /** Radial error in mm. */
  error: number
  /** Expected radial error in mm. */
  ere: number
  /** Probability of the hottest pixel of the heatmap, and that pixel's area in mm^2. */
  confidence: number
  pixelArea: number
  /** mm^2, and its parts; the truth's deviation from its centre in mm. */
  covariance: Covariance | null
  within: Covariance | null
  between: Covariance | null
  deviation: Point
  /** Made from the chains' points, because the file has no uncertainty of its own. */
  fromChains: boolean
}

/** A point's heatmap, and the cell of the truth on it; null outside of the canvas. */
export interface PointHeatmap {
  density: Density
  truth: number | null
}

/** A point, and what was made of its stored heatmap; null without one. */
export type Measured<T> = UncertainPoint & { heatmap: T | null }

export interface ReadOptions<T> {
  ereCutoff: number
  /** What is wanted of each stored heatmap: the heatmap itself is not kept. */
  measure: (point: UncertainPoint, heatmap: PointHeatmap) => T
}

/** The found and annotated points, image by image in the natural order of their ids. */
export async function readPoints<T>(
  source: UncertaintySource,
  { ereCutoff, measure }: ReadOptions<T>,
): Promise<{ landmarks: readonly string[]; images: string[]; points: Measured<T>[] }> {
  const { predictions, annotations } = source
  const { ids, landmarks, dx, dy } = offsets(source)
  const pairs = scoredPairs(source)
  const images = new Map(predictions.images.map((image) => [image.id, image]))
  const rows = ids
    .map((id, i) => ({ id, i }))
    .sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))
  const points: Measured<T>[] = []
  for (const { id, i } of rows) {
    const image = images.get(id) as PredictedImage
    const scale = scaleOf(image, source)
    const maps = await source.heatmaps?.(id)
    for (const [j, { first, second }] of pairs.entries()) {
      const at = i * pairs.length + j
      const error = Math.hypot(dx[at] as number, dy[at] as number)
      if (!Number.isFinite(error)) continue
      const truth = annotations.get(id)?.[second] as Point
      const known = ofPredictions(image, first, scale)
      const place = { image: id, landmark: j, error }
      if (!maps) {
        points.push({ ...place, ...relative(known, truth, scale), heatmap: null })
        continue
      }
      const density = Density.of(maps, landmarkIn(maps, predictions.landmarks[first] as string, id))
      const refined = { ...known, ...ofDensity(density, maps, scale, ereCutoff) }
      const point = { ...place, ...relative(refined, truth, scale) }
      const cell = density.cellAt([
        (truth[0] - maps.origin[0]) / maps.step[0],
        (truth[1] - maps.origin[1]) / maps.step[1],
      ])
      points.push({ ...point, heatmap: measure(point, { density, truth: cell }) })
    }
  }
  return { landmarks, images: rows.map(({ id }) => id), points }
}

function landmarkIn(maps: TiledHeatmaps, name: string, id: string): number {
  const place = maps.landmarks.indexOf(name)
  if (place >= 0) return place
  throw new LandmarkDiffusionError(
    'ERR_DATA',
    `The stored heatmaps of image '${id}' have no landmark ${name}. Predict the image again with --heatmaps.`,
  )
}

/** Everything of a point but its relation to the truth; `centre` in pixels of the original. */
type Spread = Omit<UncertainPoint, 'image' | 'landmark' | 'error' | 'deviation'> & { centre: Point }

function relative({ centre, ...rest }: Spread, truth: Point, scale: Point) {
  const deviation: Point = [scale[0] * (truth[0] - centre[0]), scale[1] * (truth[1] - centre[1])]
  return { ...rest, deviation }
}

function ofPredictions(image: PredictedImage, landmark: number, scale: Point): Spread {
  const point = image.points[landmark] as Point
  const uncertainty = image.uncertainty?.[landmark] ?? {}
  const { ere = Number.NaN, confidence = Number.NaN, mean: centre = point } = uncertainty
  const { covariance, within, between } = uncertainty
  // Without a pixel size the figures of the file are in pixels.
  const unit: Point = image.pixelSize ? [1, 1] : scale
  const toMm = (matrix: Matrix | undefined) =>
    matrix ? scaleCovariance(matrix as Covariance, unit) : null
  const [width, height] = image.heatmapPixel ?? [Number.NaN, Number.NaN]
  const spread: Spread = {
    ere: ere >= 0 ? ere * Math.sqrt(unit[0] * unit[1]) : Number.NaN,
    confidence: confidence >= 0 && confidence <= 1 ? confidence : Number.NaN,
    pixelArea: width * scale[0] * height * scale[1],
    covariance: covariance && isCovariance(covariance) ? toMm(covariance) : null,
    within: toMm(within),
    between: toMm(between),
    centre,
    fromChains: false,
  }
  const chains = (image.chains ?? []).map((chain) => chain[landmark]).filter((p) => p != null)
  if (!Number.isNaN(spread.ere) || spread.covariance || chains.length < 3) return spread
  return { ...spread, ...ofChains(chains, point, scale) }
}

type Matrix = NonNullable<PointUncertainty['covariance']>

/** From three or more sampled points alone: the mean distance to the prediction, and their covariance (M - 1). */
function ofChains(chains: readonly Point[], point: Point, scale: Point): Partial<Spread> {
  const { mean: centre, covariance } = pointMoments(chains)
  const unbiased = Math.sqrt(chains.length / (chains.length - 1))
  const own = scaleCovariance(covariance, [scale[0] * unbiased, scale[1] * unbiased])
  const distances = chains.map(([x, y]) =>
    Math.hypot(scale[0] * (x - point[0]), scale[1] * (y - point[1])),
  )
  return {
    ere: mean(distances),
    covariance: isCovariance(own) ? own : null,
    centre,
    fromChains: true,
  }
}

function ofDensity(
  density: Density,
  { origin, step }: TiledHeatmaps,
  scale: Point,
  ereCutoff: number,
): Partial<Spread> {
  const unit = [step[0] * scale[0], step[1] * scale[1]] as const
  const moments = densityMoments(density, unit)
  return {
    ere: expectedRadialError(density, unit, ereCutoff),
    confidence: density.perPixel[density.hottest] as number,
    pixelArea: unit[0] * unit[1],
    covariance: moments.covariance,
    centre: [origin[0] + step[0] * moments.mean[0], origin[1] + step[1] * moments.mean[1]],
    fromChains: false,
  }
}
