/** A report of synthetic cephalograms with everything that predictions can store: chains, covariances, heatmaps and film strips. */

import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Annotations,
  buildReport,
  type EvaluationResult,
  type Evidence,
  evaluate,
  evaluateParts,
  ImageFolder,
  type Point,
  type PredictedImage,
  type PredictionsFile,
  parsePredictions,
  type ReportOptions,
  radialErrors,
  type TiledHeatmaps,
} from 'landmark-diffusion/evaluation'
import sharp from 'sharp'
import { openAnnotations } from '#lib/data/annotations/index.js'
import { decodeImage } from '#lib/data/image.js'
import { synthesize } from '#lib/data/synthetic/index.js'
import { lehmer } from './fixtures.js'
import { mapsOf, normals } from './uncertainty/heatmaps.js'

/** Higher than what is embedded of every image, so that originals differ from it. */
const size = { width: 760, height: 950 }
const canvas = { width: 40, height: 50 }
const step = size.width / canvas.width
/** Centre of the canvas' first pixel in pixels of the original. */
const origin = (step - 1) / 2

export interface Stage {
  folder: string
  predictions: PredictionsFile
  truth: Annotations
  junior: Annotations
  senior: Annotations
  result: EvaluationResult
  /** What `buildReport` takes for all of it. */
  options: ReportOptions
}

/** Covariance in mm^2 of every landmark: long in y, and slanted. */
const covariance: [[number, number], [number, number]] = [
  [1, 0.6],
  [0.6, 2.25],
]

function heatmapOf(points: readonly (Point | null)[]): TiledHeatmaps {
  const { width, height } = canvas
  const weights = points.map((point) =>
    Array.from({ length: width * height }, (_, i) => {
      if (point === null) return 1
      const [x, y] = [origin + step * (i % width), origin + step * Math.floor(i / width)]
      return Math.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * step * step)) + 1e-9
    }),
  )
  return mapsOf({ ...canvas, weights, landmarks: [], origin: [origin, origin], step: [step, step] })
}

/** Three images, predicted 1.2 mm beside the truth on average, one landmark of the first far away and one of the second not found. */
export async function makeStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'report-stage-'))
  const data = join(folder, 'data')
  await synthesize(data, { count: 8, size, seed: 3 })
  const source = await openAnnotations(data, {})
  const ids = source.splits.get('test1') ?? []
  const [truth, junior, senior] = await Promise.all(
    ['mean', 'junior', 'senior'].map((name) => source.read(ids, name)),
  )
  if (!truth || !junior || !senior) throw new Error('the synthetic data have three truths')
  const landmarks = source.landmarkSet.landmarks.map(({ name }) => name)
  const [scale] = source.pixelSizes.get(ids[0] ?? '') ?? source.assumedPixelSize ?? []
  if (scale === undefined) throw new Error('the synthetic data have a pixel size')
  const normal = normals(lehmer(11))
  const film = join(folder, 'film')
  await mkdir(film)
  const frame = sharp({ create: { ...canvas, channels: 3, background: '#555' } })
  for (const t of [19, 10, 0]) await frame.png().toFile(join(film, `${t}.png`))
  const images = ids.map((id, i): PredictedImage => {
    const points = (truth.get(id) ?? []).map((point, j): Point | null => {
      if (point === null || (i === 1 && j === 4)) return null
      const far = i === 0 && j === 9 ? 12 : 0
      return [point[0] + (normal() + far) / scale, point[1] + normal() / scale]
    })
    const around = (spread: number) =>
      points.map((point): Point | null =>
        point === null
          ? null
          : [point[0] + (spread * normal()) / scale, point[1] + (spread * normal()) / scale],
      )
    return {
      id,
      file: `${id}.png`,
      ...size,
      pixelSize: [scale, scale],
      points,
      uncertainty: points.map(
        (point) => point && { ere: 1.2, mean: point, covariance, confidence: 0.1 },
      ),
      chains: Array.from({ length: 20 }, () => around(0.8)),
      filmstrip: [19, 10, 0].map((t) => ({ t, file: `film/${t}.png` })),
      heatmapPixel: [step, step],
    }
  })
  const predictions = parsePredictions({
    format: 'landmark-diffusion/predictions',
    version: 1,
    landmarks,
    model: { run: 'runs/<b>made</b>', steps: 10, chains: 20, seed: 1 },
    images,
  })
  const annotators = new Map([
    ['junior', junior],
    ['senior', senior],
  ])
  const heatmaps = async (id: string) => ({
    ...heatmapOf(predictions.images.find((image) => image.id === id)?.points ?? []),
    landmarks,
  })
  const scoring = {
    predictions,
    annotations: truth,
    annotators,
    landmarks,
    landmarkSet: source.landmarkSet,
    split: 'test1',
    bootstrap: { resamples: 100 },
  }
  const result = evaluate(scoring)
  const errors = radialErrors(scoring)
  const evidence: Evidence = {
    ...scoring,
    errors,
    truths: new Map([['mean', truth], ...annotators]),
    uncertainty: { heatmaps },
  }
  const predictionsPath = join(folder, 'predictions.json')
  await writeFile(predictionsPath, JSON.stringify(predictions))
  const options: ReportOptions = {
    predictions,
    predictionsPath,
    landmarks,
    scores: { result, errors, references: [] },
    parts: await evaluateParts(evidence),
    truth,
    junior,
    senior,
    images: await ImageFolder.open(data),
    heatmaps,
    decode: (path) => decodeImage(path),
    originals: 2,
  }
  return { folder, predictions, truth, junior, senior, result, options }
}

/** The report of a stage, or of one that is changed a little. */
export function reportOf({ options }: Stage, change: Partial<ReportOptions> = {}): Promise<string> {
  return buildReport({ ...options, ...change })
}
