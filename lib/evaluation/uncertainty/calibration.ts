/** The calibration set: other images, from which temperatures and the sizes of conformal regions are taken. */

import { LandmarkDiffusionError } from '../../errors.js'
import { shortList } from '../errors.js'
import {
  type ConformalScore,
  conformalLevels,
  conformalQuantile,
  type ScoredPoint,
} from './conformal.js'
import { squaredMahalanobis } from './covariance.js'
import { ellipseArea } from './ellipses.js'
import { HighestDensity } from './highest-density.js'
import { type Measured, readPoints, type UncertainPoint, type UncertaintySource } from './points.js'
import { fitTemperatures, labelHeatmap, type Temperatures } from './temperature.js'

export interface CalibrationSource extends UncertaintySource {
  /** Name of the split, for the result. */
  name: string
  /** Take images that are evaluated too; the figures then flatter. Refused by default. */
  mayOverlap?: boolean
}

/** What a highest-density score needs of a heatmap. */
export interface Hotness {
  /** Probability of all that is at least as hot as the truth; infinite outside of the canvas. */
  atLeastAsHot: number
  /** mm^2 of the regions of some quantiles, which are known when the heatmap is at hand. */
  areas: ReadonlyMap<number, number>
}

export interface Calibration {
  name: string
  images: number
  overlap: number
  points: readonly Measured<Hotness>[]
  /** null without stored heatmaps. */
  temperatures: Temperatures | null
}

/** @throws ERR_USAGE for a set that shares images with the evaluated ones; ERR_DATA for an empty one */
export async function calibrate(
  { name, mayOverlap = false, ...source }: CalibrationSource,
  evaluated: ReadonlySet<string>,
  ereCutoff: number,
): Promise<Calibration> {
  const shared = source.predictions.images
    .map(({ id }) => id)
    .filter((id) => source.annotations.has(id) && evaluated.has(id))
  if (shared.length > 0 && !mayOverlap) {
    throw new LandmarkDiffusionError(
      'ERR_USAGE',
      `The calibration set ${name} shares ${shared.length} images with those that are evaluated (${shortList(shared)}), so its figures would flatter. Choose another split, or say --calibration-overlap.`,
    )
  }
  const { images, landmarks, points } = await readPoints(source, {
    ereCutoff,
    measure: ({ landmark, error, pixelArea }, { density, truth }) => {
      const log = truth === null ? null : (density.logs[truth] as number)
      return {
        areas: new Map(),
        atLeastAsHot:
          log === null ? Number.POSITIVE_INFINITY : new HighestDensity(density).massAt(log).upTo,
        labelled: labelHeatmap(density, { landmark, error, pixelArea, truth: log }),
      }
    },
  })
  if (points.length === 0) {
    throw new LandmarkDiffusionError(
      'ERR_DATA',
      `The calibration set ${name} has no point that is predicted and annotated. Predict its images too, or choose another split.`,
    )
  }
  const firstHalf = new Set(images.slice(0, Math.ceil(images.length / 2)))
  const half = (first: boolean) =>
    points.flatMap(({ image, heatmap }) =>
      heatmap && firstHalf.has(image) === first ? heatmap.labelled : [],
    )
  const fitted = half(true)
  return {
    name,
    images: images.length,
    overlap: shared.length,
    points,
    temperatures:
      fitted.length === 0 ? null : fitTemperatures(fitted, half(false), landmarks.length),
  }
}

/** The points that have this conformal score, with it. */
export function scorePoints(
  points: readonly Measured<Hotness>[],
  kind: ConformalScore,
): ScoredPoint[] {
  return points.flatMap((point) => {
    const { landmark, error } = point
    const score = scoreOf(point, kind)
    return score ? { landmark, error, ...score } : []
  })
}

function scoreOf(
  { error, ere, covariance, deviation, heatmap }: UncertainPoint & { heatmap: Hotness | null },
  kind: ConformalScore,
): Pick<ScoredPoint, 'score' | 'area'> | null {
  const disc = (radius: number) => Math.PI * radius * radius
  switch (kind) {
    case 'radius':
      return { score: error, area: disc }
    case 'normalised':
      return ere > 0 ? { score: error / ere, area: (q) => disc(q * ere) } : null
    case 'ellipse':
      return (
        covariance && {
          score: Math.sqrt(squaredMahalanobis(deviation, covariance)),
          area: (q) => ellipseArea(covariance, q * q),
        }
      )
    case 'highest-density':
      return (
        heatmap && {
          score: heatmap.atLeastAsHot,
          area: (q) => heatmap.areas.get(q) ?? Number.POSITIVE_INFINITY,
        }
      )
  }
}

/** The quantiles of the highest-density scores, one list a landmark. */
export function hotQuantiles({ points }: Calibration, landmarks: number): number[][] {
  const scores = scorePoints(points, 'highest-density')
  return Array.from({ length: landmarks }, (_, j) => {
    const own = scores.filter(({ landmark }) => landmark === j).map(({ score }) => score)
    return conformalLevels.map((level) => conformalQuantile(own, level))
  })
}
