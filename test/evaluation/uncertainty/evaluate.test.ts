import {
  type Annotations,
  evaluateUncertainty,
  formatUncertainty,
  type Point,
  type PredictionsFile,
  type TiledHeatmaps,
  type UncertaintySource,
} from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'
import { annotationsOf, lehmer, predictionsOf } from '../fixtures.js'
import { mapsOf, normals } from './heatmaps.js'

const landmarks = ['S', 'N']

/** Images of 0.1 mm with normal errors: their standard deviation in mm is drawn too, and the predictions know it. Canvas pixels of 0.5 mm. */
function simulate(count: number, seed: number, prefix: string) {
  const uniform = lehmer(seed)
  const normal = normals(uniform)
  const points: Record<string, Point[]> = {}
  const truths: Record<string, Point[]> = {}
  const sds: Record<string, number[]> = {}
  for (let i = 0; i < count; i++) {
    const id = `${prefix}${i + 1}`
    sds[id] = landmarks.map(() => 0.4 + uniform())
    points[id] = landmarks.map(() => [500, 500])
    truths[id] = sds[id].map((sd) => [500 + 10 * sd * normal(), 500 + 10 * sd * normal()])
  }
  const { images, ...head } = predictionsOf(points, landmarks)
  const predictions: PredictionsFile = {
    ...head,
    images: images.map((image) => ({
      ...image,
      heatmapPixel: [5, 5],
      uncertainty: (sds[image.id] ?? []).map((sd) => ({
        ere: sd * Math.sqrt(Math.PI / 2),
        covariance: [[sd * sd, 0], [0, sd * sd]], // biome-ignore format: a matrix
        confidence: 0.25 / (2 * Math.PI * sd * sd),
      })),
    })),
  }
  const heatmaps = async (id: string): Promise<TiledHeatmaps> =>
    mapsOf({
      landmarks,
      width: 41,
      height: 41,
      origin: [400, 400],
      step: [5, 5],
      weights: (sds[id] ?? []).map((sd) =>
        Array.from({ length: 41 * 41 }, (_, at) => {
          const [x, y] = [(at % 41) - 20, Math.floor(at / 41) - 20]
          return Math.exp((-(x * x + y * y) * 0.25) / (2 * sd * sd))
        }),
      ),
    })
  return { predictions, annotations: annotationsOf(truths), heatmaps }
}

const evaluated = simulate(120, 21, 'e')
const held = simulate(120, 22, 'c')
const plain = ({ predictions, annotations }: UncertaintySource) => ({ predictions, annotations })

describe('an evaluation of uncertainty', () => {
  it('of a model that knows its errors finds it calibrated, from the predictions alone', async () => {
    const result = await evaluateUncertainty(plain(evaluated))
    expect(result).toMatchObject({ points: 240, source: 'predictions', ereCutoff: null })
    expect(result?.ellipses?.meanAbsoluteGap).toBeLessThan(0.05)
    expect(result?.ere.correlation.spearman).toBeGreaterThan(0.3)
    expect(result?.ere.correlation.blocks.pearson).toBeGreaterThan(0.9)
    expect(result?.riskCoverage?.aurc).toBeLessThan(result?.riskCoverage?.randomAurc ?? 0)
    expect(result?.reliability?.pixelSize).toBeCloseTo(0.5, 9)
    expect(result?.outliers.map(({ outlierAbove }) => outlierAbove)).toEqual([2, 4])
    expect(result).toMatchObject({ highestDensity: null, temperature: null, calibration: null })
    expect(result?.perLandmark.map(({ name, points }) => [name, points])).toEqual([
      ['S', 120],
      ['N', 120],
    ])
  })

  it('from stored heatmaps finds the same, and what needs every pixel', async () => {
    const [fromFile, fromMaps] = [
      await evaluateUncertainty(plain(evaluated)),
      await evaluateUncertainty(evaluated),
    ]
    expect(fromMaps).toMatchObject({ source: 'heatmaps', ereCutoff: 0.05 })
    expect(fromMaps?.highestDensity?.meanAbsoluteGap).toBeLessThan(0.05)
    const [a, b] = [fromFile?.covariance?.total, fromMaps?.covariance?.total]
    // The heatmap's pixels of 0.5 mm add their own width.
    expect(b?.[0][0]).toBeCloseTo((a?.[0][0] ?? 0) + 0.25 / 12, 2)
    expect(fromMaps?.likelihood).toMatchObject({ points: 240, outside: 0 })
    // The expected -ln density of a normal distribution is 1 + ln(2 pi sd^2), over all sd from 0.4 to 1.4; its own spread is 1.
    const integral = (sd: number) => sd * (2 * Math.log(sd) - 2)
    const entropy = 1 + Math.log(2 * Math.PI) + integral(1.4) - integral(0.4)
    expect(Math.abs((fromMaps?.likelihood?.mean ?? 0) - entropy)).toBeLessThan(
      4 * Math.sqrt(1.5 / 240),
    )
  })

  it('with a calibration set adds temperatures near 1 and conformal regions that cover', async () => {
    const calibration = { ...held, name: 'held out' }
    const result = await evaluateUncertainty(evaluated, { calibration })
    expect(result?.calibration).toEqual({ name: 'held out', images: 120, points: 240, overlap: 0 })
    for (const temperature of result?.temperature?.values ?? [])
      expect(Math.abs(Math.log(temperature))).toBeLessThan(0.4)
    expect(result?.conformal).toHaveLength(12)
    for (const { score, level, all } of result?.conformal ?? []) {
      // Calibration and evaluation of 120 points a landmark each: twice the variance of one of them.
      const error = Math.sqrt((2 * level * (1 - level)) / 240)
      expect(Math.abs(all.coverage - level), `${score} ${level}`).toBeLessThan(4 * error)
      expect(all.meanArea).toBeGreaterThan(0)
    }
    const ninety = (kind: string) =>
      result?.conformal.find(({ score, level }) => score === kind && level === 0.9)
    // Errors of known size are covered with less area than those of one radius for all.
    expect(ninety('normalised')?.all.meanArea).toBeLessThan(ninety('radius')?.all.meanArea ?? 0)
    expect(ninety('radius')?.perLandmark[0]?.adaptivity).toBeNaN()
    expect(ninety('ellipse')?.perLandmark[0]?.adaptivity).toBeGreaterThan(0.2)
    expect(formatUncertainty(result as NonNullable<typeof result>)).toMatch(/held out: 120 images/)
  })

  it('refuses to calibrate on what is evaluated, unless told to', async () => {
    const calibration = { ...evaluated, name: 'test1' }
    await expect(evaluateUncertainty(evaluated, { calibration })).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringMatching(/test1 shares 120 images.*--calibration-overlap/),
    })
    const result = await evaluateUncertainty(plain(evaluated), {
      calibration: { ...plain(evaluated), name: 'test1', mayOverlap: true },
    })
    expect(result?.calibration?.overlap).toBe(120)
  })

  it('does not depend on the order of the images', async () => {
    const { images, ...head } = evaluated.predictions
    const predictions = { ...head, images: [...images].reverse() }
    const shuffled = { ...evaluated, predictions }
    expect(await evaluateUncertainty(plain(shuffled))).toEqual(
      await evaluateUncertainty(plain(evaluated)),
    )
  })

  it('is in mm where the predictions are in pixels', async () => {
    const { images, ...head } = evaluated.predictions
    const inPixels = images.map((image) => ({
      ...image,
      pixelSize: null,
      uncertainty: image.uncertainty?.map((own) => ({
        ...own,
        ere: 10 * (own?.ere ?? 0),
        covariance: own?.covariance?.map(([a, b]): [number, number] => [100 * a, 100 * b]) ?? [],
      })),
    })) as PredictionsFile['images']
    const found = await evaluateUncertainty({
      predictions: { ...head, images: inPixels },
      annotations: evaluated.annotations,
      pixelSize: [0.1, 0.1],
    })
    const wanted = await evaluateUncertainty(plain(evaluated))
    expect(found?.ere.mean).toBeCloseTo(wanted?.ere.mean ?? 0, 9)
    expect(found?.covariance?.total[0][0]).toBeCloseTo(wanted?.covariance?.total[0][0] ?? 0, 9)
    expect(found?.reliability?.ece).toBeCloseTo(wanted?.reliability?.ece ?? 0, 9)
  })

  it('takes chains alone for want of better', async () => {
    const chains: Point[][] = [[[500, 500]], [[530, 500]], [[500, 540]]]
    const { images, ...head } = predictionsOf({ a: [[500, 500]] }, ['S'])
    const predictions = { ...head, images: images.map((image) => ({ ...image, chains })) }
    const annotations: Annotations = annotationsOf({ a: [[510, 510]] })
    const result = await evaluateUncertainty({ predictions, annotations })
    expect(result).toMatchObject({ points: 1, fromChains: 1 })
    expect(result?.ere.mean).toBeCloseTo((0 + 3 + 4) / 3, 12)
    // x: 0, 3, 0 mm; y: 0, 0, 4 mm; divided by M - 1.
    expect(result?.covariance?.total[0][0]).toBeCloseTo(3, 9)
    expect(result?.covariance?.total[0][1]).toBeCloseTo(-2, 9)
    expect(result?.covariance?.total[1][1]).toBeCloseTo(16 / 3, 9)
  })

  it('is null where the predictions say nothing of it', async () => {
    const { predictions, annotations } = {
      predictions: predictionsOf({ a: [[500, 500]] }, ['S']),
      annotations: annotationsOf({ a: [[510, 510]] }),
    }
    expect(await evaluateUncertainty({ predictions, annotations })).toBeNull()
  })

  it('names the landmark that stored heatmaps do not have', async () => {
    const heatmaps = async (id: string) => ({
      ...(await evaluated.heatmaps(id)),
      landmarks: ['S', 'Or'],
    })
    await expect(evaluateUncertainty({ ...evaluated, heatmaps })).rejects.toThrow(
      /heatmaps of image 'e1' have no landmark N/,
    )
  })
})
