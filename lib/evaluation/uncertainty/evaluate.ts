/** Everything that is said of how well predicted uncertainty is calibrated and how useful it is, in one result (evaluation.md 2.4). */

import { scoredPairs } from '../errors.js'
import { mean } from '../statistics/descriptive.js'
import {
  type Calibration,
  type CalibrationSource,
  calibrate,
  type Hotness,
  hotQuantiles,
  scorePoints,
} from './calibration.js'
import { conformalRegions, conformalScores } from './conformal.js'
import { type Covariance, meanCovariance, principalAxes } from './covariance.js'
import { type CoverageCurve, coverageCurve, type Regions } from './coverage.js'
import type { Density } from './density.js'
import { ellipseRegions } from './ellipses.js'
import { correlateErrors, defaultEreCutoff } from './ere.js'
import { HighestDensity } from './highest-density.js'
import { densityNll, summarizeNll } from './likelihood.js'
import { outlierRoc } from './outliers.js'
import { type Measured, readPoints, type UncertaintySource } from './points.js'
import { type ModePoint, modeReliability } from './reliability.js'
import type {
  CovarianceParts,
  HeatmapFigures,
  LandmarkUncertainty,
  UncertaintyResult,
} from './result.js'
import { riskCoverage } from './risk-coverage.js'

/** Errors above which a point is an outlier, in mm. */
const outlierThresholds = [2, 4] as const

export interface UncertaintyOptions {
  /** Share of the hottest pixel at and below which pixels do not count in the expected radial error; 0.05 by default. Only with stored heatmaps. */
  ereCutoff?: number
  /** Other images, from which temperatures and conformal regions are made. */
  calibration?: CalibrationSource
}

/** What is kept of a heatmap. */
interface Reading {
  regions: Regions
  nll: number | null
  confidence: number
}

interface Readings extends Hotness {
  plain: Reading
  /** With the calibration's temperature; null without one. */
  tempered: Reading | null
}

type Point = Measured<Readings>

function read(density: Density, truth: number | null, pixelArea: number) {
  const ranked = new HighestDensity(density)
  const log = truth === null ? null : (density.logs[truth] as number)
  const reading: Reading = {
    regions: ranked.regions(log, pixelArea),
    nll: log === null ? null : densityNll(log, pixelArea),
    confidence: density.perPixel[density.hottest] as number,
  }
  const atLeastAsHot = log === null ? Number.POSITIVE_INFINITY : ranked.massAt(log).upTo
  return { reading, ranked, atLeastAsHot }
}

/**
 * Evaluates the uncertainty of predictions; null where nothing in them says any. Stored heatmaps are read one image at a
 * time and not kept.
 * @throws ERR_USAGE for a calibration set that shares images with the evaluated ones; ERR_DATA for heatmaps that cannot be read
 */
export async function evaluateUncertainty(
  source: UncertaintySource,
  { ereCutoff = defaultEreCutoff, calibration: calibrationSource }: UncertaintyOptions = {},
): Promise<UncertaintyResult | null> {
  const evaluated = source.predictions.images.filter(({ id }) => source.annotations.has(id))
  const calibration = calibrationSource
    ? await calibrate(calibrationSource, new Set(evaluated.map(({ id }) => id)), ereCutoff)
    : null
  const quantiles = calibration ? hotQuantiles(calibration, scoredPairs(source).length) : []
  const temperatures = calibration?.temperatures?.values ?? []
  const { landmarks, points } = await readPoints<Readings>(source, {
    ereCutoff,
    measure: ({ landmark, pixelArea }, { density, truth }) => {
      const { reading, ranked, atLeastAsHot } = read(density, truth, pixelArea)
      const temperature = temperatures[landmark]
      return {
        plain: reading,
        tempered:
          temperature === undefined
            ? null
            : read(density.tempered(temperature), truth, pixelArea).reading,
        atLeastAsHot,
        areas: new Map(
          (quantiles[landmark] ?? []).map((q) => [q, pixelArea * ranked.wholePixels(q)]),
        ),
      }
    },
  })
  if (!points.some(({ ere, covariance }) => !Number.isNaN(ere) || covariance)) return null
  return summarize(landmarks, points, { ereCutoff, calibration })
}

function summarize(
  landmarks: readonly string[],
  points: readonly Point[],
  { ereCutoff, calibration }: { ereCutoff: number; calibration: Calibration | null },
): UncertaintyResult {
  const expecting = points.filter(({ ere }) => !Number.isNaN(ere))
  const expected = expecting.map(({ ere }) => ere)
  const errors = expecting.map(({ error }) => error)
  const fromHeatmaps = points.some(({ heatmap }) => heatmap !== null)
  const plain = fromHeatmaps ? heatmapFigures(points, 'plain') : null
  const temperatures = calibration?.temperatures ?? null
  return {
    points: points.length,
    fromChains: points.filter(({ fromChains }) => fromChains).length,
    source: fromHeatmaps ? 'heatmaps' : 'predictions',
    ereCutoff: fromHeatmaps ? ereCutoff : null,
    ere: {
      points: expecting.length,
      mean: mean(expected),
      correlation: correlateErrors(expected, errors),
    },
    outliers: outlierThresholds.map((threshold) => outlierRoc(expected, errors, threshold)),
    riskCoverage: riskCoverage(expected, errors),
    reliability: modeReliability(points.filter(hasMode)),
    covariance: covarianceParts(points),
    ellipses: ellipseCurve(points),
    highestDensity: plain?.highestDensity ?? null,
    likelihood: plain?.likelihood ?? null,
    calibration: calibration && {
      name: calibration.name,
      images: calibration.images,
      points: calibration.points.length,
      overlap: calibration.overlap,
    },
    temperature: temperatures && { ...temperatures, ...heatmapFigures(points, 'tempered') },
    conformal: calibration
      ? conformalScores.flatMap((kind) =>
          conformalRegions(
            kind,
            scorePoints(calibration.points, kind),
            scorePoints(points, kind),
            landmarks,
          ),
        )
      : [],
    perLandmark: landmarks.map((name, j) =>
      landmarkUncertainty(
        name,
        points.filter(({ landmark }) => landmark === j),
        temperatures?.values[j] ?? 1,
      ),
    ),
  }
}

function hasMode({ confidence, pixelArea }: ModePoint): boolean {
  return !Number.isNaN(confidence) && pixelArea > 0
}

function heatmapFigures(points: readonly Point[], of: 'plain' | 'tempered'): HeatmapFigures {
  const readings = points.flatMap(({ heatmap, error, pixelArea }) => {
    const reading = heatmap?.[of]
    return reading ? { ...reading, error, pixelArea } : []
  })
  return {
    highestDensity: coverageCurve(readings.map(({ regions }) => regions)),
    likelihood: summarizeNll(readings.map(({ nll }) => nll)),
    reliability: modeReliability(readings),
  }
}

function ellipseCurve(points: readonly Point[]): CoverageCurve | null {
  return coverageCurve(
    points.flatMap(({ deviation, covariance }) =>
      covariance ? ellipseRegions(deviation, covariance) : [],
    ),
  )
}

function covarianceParts(points: readonly Point[]): CovarianceParts | null {
  const known = points.filter(({ covariance }) => covariance !== null)
  if (known.length === 0) return null
  const meanOf = (part: 'covariance' | 'within' | 'between') => {
    const all = known.map((point) => point[part]).filter((matrix) => matrix !== null)
    return all.length === 0 ? null : meanCovariance(all)
  }
  const trace = ([[xx], [, yy]]: Covariance) => xx + yy
  const [within, between] = [meanOf('within'), meanOf('between')]
  return {
    points: known.length,
    total: meanOf('covariance') as Covariance,
    within,
    between,
    betweenShare:
      within && between ? trace(between) / (trace(within) + trace(between)) : Number.NaN,
  }
}

function landmarkUncertainty(
  name: string,
  points: readonly Point[],
  temperature: number,
): LandmarkUncertainty {
  const expecting = points.filter(({ ere }) => !Number.isNaN(ere))
  const expected = expecting.map(({ ere }) => ere)
  const { pearson, spearman } = correlateErrors(
    expected,
    expecting.map(({ error }) => error),
  )
  const curve = ellipseCurve(points)
  const parts = covarianceParts(points)
  return {
    name,
    points: points.length,
    error: mean(points.map(({ error }) => error)),
    ere: mean(expected),
    pearson,
    spearman,
    axes: parts ? principalAxes(parts.total) : [Number.NaN, Number.NaN],
    ellipseCoverage95: curve?.coverage.at(-1) ?? Number.NaN,
    ellipseGap: curve?.meanAbsoluteGap ?? Number.NaN,
    nll: heatmapFigures(points, 'plain').likelihood.mean,
    temperature,
  }
}
