import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readHeatmaps } from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { conformalQuantile } from '#lib/evaluation/uncertainty/conformal.js'
import {
  densityMoments,
  principalAxes,
  squaredMahalanobis,
} from '#lib/evaluation/uncertainty/covariance.js'
import { Density } from '#lib/evaluation/uncertainty/density.js'
import { ellipseRegions } from '#lib/evaluation/uncertainty/ellipses.js'
import { correlateErrors, expectedRadialError } from '#lib/evaluation/uncertainty/ere.js'
import { HighestDensity } from '#lib/evaluation/uncertainty/highest-density.js'
import { densityNll } from '#lib/evaluation/uncertainty/likelihood.js'
import { outlierRoc } from '#lib/evaluation/uncertainty/outliers.js'
import { modeReliability } from '#lib/evaluation/uncertainty/reliability.js'
import { riskCoverage } from '#lib/evaluation/uncertainty/risk-coverage.js'
import { labelHeatmap, leastNllTemperature } from '#lib/evaluation/uncertainty/temperature.js'

const fixtures = join(import.meta.dirname, '../../fixtures')
const { errors, reliability, heatmaps, ellipses } = JSON.parse(
  readFileSync(join(fixtures, 'uncertainty.json'), 'utf8'),
)

describe('as SciPy and scikit-learn (scripts/reference/uncertainty.py)', () => {
  it('the correlations of expected and true errors, single and in blocks of 36', () => {
    const found = correlateErrors(errors.expected, errors.errors)
    expect(found.pearson).toBeCloseTo(errors.pearson, 9)
    expect(found.spearman).toBeCloseTo(errors.spearman, 9)
    expect(found.blocks.error).toHaveLength(11)
    expect(found.blocks.pearson).toBeCloseTo(errors.blocks.pearson, 9)
    for (const [b, value] of found.blocks.error.entries()) {
      expect(value).toBeCloseTo(errors.blocks.error[b], 9)
      expect(found.blocks.expected[b]).toBeCloseTo(errors.blocks.expected[b], 9)
    }
  })

  it('the ROC of outliers and its threshold at half of them', () => {
    const roc = outlierRoc(errors.expected, errors.errors, 2)
    expect(roc.auc).toBeCloseTo(errors.auc, 9)
    expect(roc.atHalf?.threshold).toBe(errors.threshold)
    expect(roc.atHalf?.truePositiveRate).toBeCloseTo(errors.tpr, 9)
    expect(roc.atHalf?.falsePositiveRate).toBeCloseTo(errors.fpr, 9)
    // The corners that are left still enclose the whole area.
    const { truePositiveRate: y, falsePositiveRate: x } = roc
    const area = x.slice(1).reduce((sum, value, i) => {
      const width = value - (x[i] as number)
      return sum + (width * ((y[i] as number) + (y[i + 1] as number))) / 2
    }, 0)
    expect(area).toBeCloseTo(errors.auc, 9)
  })

  it('the areas under risk and coverage', () => {
    const found = riskCoverage(errors.expected, errors.errors)
    expect(found?.aurc).toBeCloseTo(errors.aurc, 9)
    expect(found?.oracleAurc).toBeCloseTo(errors.oracleAurc, 9)
  })

  it('conformal quantiles', () => {
    for (const [i, level] of [0.8, 0.9, 0.95].entries())
      expect(conformalQuantile(errors.errors, level)).toBe(errors.conformal[i])
  })

  it('the expected calibration error of the mode', () => {
    const { confidence, pixelArea } = reliability
    const found = modeReliability(
      reliability.errors.map((error: number, i: number) => ({
        error,
        confidence: confidence[i],
        pixelArea,
      })),
    )
    expect(found?.ece).toBeCloseTo(reliability.ece, 9)
    expect(found?.bins.map(({ points }) => points)).toEqual(reliability.counts)
    expect(found?.pixelSize).toBeCloseTo(0.3, 9)
  })

  it('the Mahalanobis distance, the limits of ellipses and their axes', () => {
    expect(squaredMahalanobis(ellipses.deviation, ellipses.covariance)).toBeCloseTo(
      ellipses.squared,
      9,
    )
    const { areas } = ellipseRegions(ellipses.deviation, ellipses.covariance)
    const unit = Math.PI * Math.sqrt(1.3 * 0.7 - 0.16)
    for (const [i, place] of [0, 9, 18].entries())
      expect((areas[place] as number) / unit).toBeCloseTo(ellipses.limits[i], 9)
    for (const [i, axis] of principalAxes(ellipses.covariance).entries())
      expect(axis).toBeCloseTo(ellipses.axes[i], 9)
  })
})

describe('heatmaps that Python stored', async () => {
  const maps = await readHeatmaps(join(fixtures, 'uncertainty.safetensors'))
  const pixelArea = heatmaps.unit[0] * heatmaps.unit[1]

  it('come with their canvas and their names', () => {
    expect(maps).toMatchObject({ landmarks: ['S', 'N'], width: 21, height: 13, tile: 4 })
    expect(maps).toMatchObject({ origin: [1.5, 1.25], step: [3, 2.5] })
    // All 24 tiles of the first landmark and 7 of the second.
    expect(maps.index).toHaveLength(31)
  })

  it.each([0, 1])('have the figures that NumPy finds on every pixel: landmark %d', (n) => {
    const density = Density.of(maps, n)
    const wanted = heatmaps.figures[n]
    const cell = density.cellAt(heatmaps.truths[n]) as number
    const { mean, covariance } = densityMoments(density, heatmaps.unit)
    const ranked = new HighestDensity(density)
    const { above, upTo } = ranked.massAt(density.logs[cell] as number)
    const soft = density.tempered(2.5)
    const pairs = [
      [expectedRadialError(density, heatmaps.unit), wanted.ere],
      [density.perPixel[density.hottest], wanted.confidence],
      [mean[0], wanted.mean[0]],
      [mean[1], wanted.mean[1]],
      [covariance[0][0], wanted.covariance[0][0]],
      [covariance[0][1], wanted.covariance[0][1]],
      [covariance[1][1], wanted.covariance[1][1]],
      [densityNll(density.logs[cell] as number, pixelArea), wanted.nll],
      [above, wanted.above],
      [upTo, wanted.upTo],
      [soft.perPixel[soft.hottest], wanted.softConfidence],
      [soft.perPixel[cell], wanted.softAt],
    ]
    for (const [found, expected] of pairs) expect(found).toBeCloseTo(expected, 9)
    expect(ranked.wholePixels(0.9)).toBeLessThanOrEqual(wanted.pixels90)
    expect(ranked.pixels(0.9)).toBeGreaterThan(wanted.pixels90)
    expect(ranked.pixels(0.9)).toBeLessThanOrEqual(wanted.pixels90 + 1)
  })

  it('have the temperature of least NLL that SciPy finds', () => {
    const density = Density.of(maps, 0)
    const points = heatmaps.temperature.points.map((point: [number, number]) =>
      labelHeatmap(density, {
        landmark: 0,
        error: 0,
        pixelArea,
        truth: density.logs[density.cellAt(point) as number] as number,
      }),
    )
    expect(leastNllTemperature(points)).toBeCloseTo(heatmaps.temperature.value, 5)
  })
})
