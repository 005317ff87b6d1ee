/** `landmark-diffusion predict`: images, folders or globs to a predictions file and, where wanted, other formats and pictures. */

import { writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { LandmarkDiffusionError } from '../errors.js'
import type {
  PointUncertainty,
  PredictedImage,
  PredictionsFile,
} from '../evaluation/predictions.js'
import type { Covariance } from '../evaluation/uncertainty/covariance.js'
import type { DetectedLandmark, Detection, Detector } from '../inference/detector.js'
import { formatFiles, type PredictionFormat, predictionFormats } from '../inference/formats.js'
import type { InputImage } from '../inference/inputs.js'
import { makeFolder } from '../output-folder.js'
import {
  commaList,
  defineCommand,
  exitStatus,
  interruptSignal,
  Progress,
  positiveInteger,
  positiveNumber,
  printJson,
  say,
  usageError,
  wholeNumber,
} from './command.js'

interface Options {
  run: string
  checkpoint?: 'best' | 'last'
  out?: string
  format: PredictionFormat[]
  steps?: number
  chains?: number
  seed: number
  batch: number
  device?: string
  pixelSize?: number
  split: 'train' | 'test1' | 'test2' | 'all'
  heatmaps?: string
  film: number
  overlay?: string
  eager?: boolean
  json?: boolean
}

export function predictCommand(): Command {
  return defineCommand({
    name: 'predict',
    summary: 'find the landmarks of images, folders or globs',
    examples: [
      'landmark-diffusion predict data/isbi --split test1 --run runs/isbi --out predictions.json',
      'landmark-diffusion predict patient.png --run runs/isbi --pixel-size 0.1 --format json,csv --out patient.json',
      'landmark-diffusion predict data/isbi --split test1 --run runs/isbi --chains 20 --heatmaps out/heatmaps --out out/test1.json',
      "landmark-diffusion predict 'films/*.jpg' --run runs/isbi --out out/films.json --overlay out/overlay --heatmaps out/heatmaps",
    ],
  })
    .argument('<input...>', 'images, folders, globs, or a data set in the ISBI 2015 layout')
    .requiredOption('--run <dir>', 'run folder of `train`, or one of its checkpoint files')
    .addOption(
      new Option('--checkpoint <name>', 'which checkpoint (default: best, else last)').choices([
        'best',
        'last',
      ]),
    )
    .option('--out <file>', 'predictions file; without it they go to standard output')
    .option(
      '--format <list>',
      `formats to write beside it: ${predictionFormats.join(',')}`,
      commaList(predictionFormats),
      ['json'],
    )
    .option('--steps <n>', 'network evaluations a chain; 1 is the single step', positiveInteger)
    .option(
      '--chains <n>',
      'independent chains: their mean heatmap gives the points, each one a joint sample of all landmarks',
      positiveInteger,
    )
    .option('--seed <n>', 'seed of the noise', wholeNumber, 0)
    .option('--batch <n>', 'images computed together', positiveInteger, 4)
    .option('--device <name>', 'where to compute: cpu, cuda:0, ... (default: cpu)')
    .option('--pixel-size <mm>', 'size of a pixel of the originals', positiveNumber)
    .addOption(
      new Option('--split <name>', 'of an ISBI data set')
        .choices(['train', 'test1', 'test2', 'all'])
        .default('all'),
    )
    .option(
      '--heatmaps <dir>',
      'write heatmaps, as PNG and as numbers that `evaluate --heatmaps` and `report --heatmaps` read, and the film strip of a chain',
    )
    .option('--film <n>', 'steps of the first chain to keep with --heatmaps', wholeNumber, 8)
    .option('--overlay <dir>', 'write the images with the points on them')
    .option(
      '--eager',
      'run the network op by op instead of as a recorded program, with equal results',
    )
    .option('--json', 'print the predictions as JSON, also with --out')
    .action(runPrediction)
}

async function runPrediction(inputs: string[], options: Options): Promise<void> {
  if (options.out === undefined && options.format.some((format) => format !== 'json')) {
    throw usageError('--format needs --out FILE, beside which the other formats are written.')
  }
  const signal = interruptSignal()
  const { findInputs } = await import('../inference/inputs.js')
  const found = await findInputs(inputs, options)
  const images = options.pixelSize === undefined ? found : withPixelSize(found, options.pixelSize)
  const scaleless = images.some(({ pixelSize }) => pixelSize === null)
  if (scaleless && options.format.includes('slicer')) {
    throw usageError('--format slicer is in millimetres: give --pixel-size MM.')
  }
  describeScales(images)
  const { Detector } = await import('../inference/detector.js')
  const { tuneDevice } = await import('../training/device.js')
  await using detector = await Detector.load(options.run, options)
  tuneDevice(options.device ?? 'cpu')
  const entries: PredictedImage[] = []
  const failures: string[] = []
  using progress = new Progress('predicting', { total: images.length })
  let aborted = false
  for (let first = 0; first < images.length && !aborted; first += options.batch) {
    const batch = images.slice(first, first + options.batch)
    try {
      const onShare = (share: number) => progress.update(Math.floor(first + share * batch.length))
      entries.push(
        ...(await predictBatch(detector, batch, { ...options, signal, failures, onShare })),
      )
    } catch (error) {
      if (!signal.aborted) throw error
      aborted = true
    }
    if (!aborted) progress.update(first + batch.length)
  }
  progress.finish()
  const predictions: PredictionsFile = {
    format: 'landmark-diffusion/predictions',
    version: 1,
    landmarks: detector.landmarks.map(({ name }) => name),
    model: {
      run: options.run,
      steps: options.steps ?? detector.config.sampling.steps,
      chains: options.chains ?? detector.config.sampling.chains,
      seed: options.seed,
    },
    images: entries,
  }
  await writeOutputs(predictions, options)
  for (const failure of failures) say(failure)
  if (aborted) {
    throw new LandmarkDiffusionError(
      'ERR_ABORTED',
      `Interrupted: ${entries.length} of ${images.length} images were predicted${options.out ? ' and written' : ''}.`,
    )
  }
  if (failures.length > 0) {
    say(
      `${failures.length} of ${images.length} images could not be predicted; the others are written.`,
    )
    process.exitCode = exitStatus.failed
  }
}

/** An explicit size wins over what a data set says. */
function withPixelSize(images: readonly InputImage[], size: number): InputImage[] {
  return images.map((image) => ({
    ...image,
    pixelSize: [size, size],
    scaleSource: '--pixel-size',
  }))
}

/** Where millimetres come from, or that there are none: a reader must never have to guess. */
function describeScales(images: readonly InputImage[]): void {
  const groups = new Map<string, number>()
  for (const { pixelSize, scaleSource } of images) {
    const text = pixelSize
      ? `pixel size ${pixelSize[0]} x ${pixelSize[1]} mm, from ${scaleSource}`
      : 'pixel size unknown: results in pixels only (--pixel-size MM gives millimetres)'
    groups.set(text, (groups.get(text) ?? 0) + 1)
  }
  for (const [text, count] of groups) say(`${count} image${count === 1 ? '' : 's'}: ${text}`)
}

interface BatchOptions extends Options {
  signal: AbortSignal
  /** An image that cannot be read is named here, and the others go on without it. */
  failures: string[]
  /** Told how much of the batch's network evaluations is done, 0 to 1. */
  onShare: (share: number) => void
}

async function predictBatch(
  detector: Detector,
  batch: readonly InputImage[],
  options: BatchOptions,
): Promise<PredictedImage[]> {
  const { signal, failures, onShare } = options
  const { chains = detector.config.sampling.chains } = options
  const { decodeImage } = await import('../data/image.js')
  const decoded = await Promise.all(
    batch.map(async (image) => {
      try {
        return { image, grey: await decodeImage(image.file) }
      } catch (error) {
        failures.push((error as Error).message)
        return null
      }
    }),
  )
  const readable = decoded.filter((entry) => entry !== null)
  const { FilmRecorder, writeHeatmaps, writeOverlay } = await import('../inference/pictures.js')
  const film = options.heatmaps === undefined ? null : new FilmRecorder(options.film)
  const detections = await detector.detectBatch(
    readable.map(({ grey }) => grey),
    {
      pixelSizes: readable.map(({ image }) => image.pixelSize),
      steps: options.steps,
      chains: options.chains,
      seed: options.seed,
      signal,
      onStep: async (step) => {
        onShare((step.chain + step.step / step.steps) / chains)
        await film?.onStep(step)
      },
      heatmaps: film !== null,
    },
  )
  const entries: PredictedImage[] = []
  for (const [i, { image, grey }] of readable.entries()) {
    const detection = detections[i] as Detection
    const entry = describeImage(image, detection)
    if (options.overlay !== undefined) {
      await makeFolder(options.overlay)
      await writeOverlay(join(options.overlay, `${image.id}.jpg`), grey, detection)
    }
    if (options.heatmaps !== undefined && film) {
      const folder = resolve(options.heatmaps, image.id)
      const files = await writeHeatmaps(folder, grey, detection, film.frames, i)
      const from = options.out === undefined ? process.cwd() : dirname(resolve(options.out))
      const path = (name: string) => relative(from, join(folder, name))
      entry.heatmaps = path(files.all)
      if (files.filmstrip.length > 0) {
        entry.filmstrip = files.filmstrip.map(({ t, file }) => ({ t, file: path(file) }))
      }
    }
    entries.push(entry)
  }
  return entries
}

type MutableImage = { -readonly [K in keyof PredictedImage]: PredictedImage[K] }

/** Coordinates with a thousandth of a pixel, the rest with six digits: more would only be noise. */
const pixel = (value: number) => Number(value.toFixed(3))
const digits = (value: number) => Number(value.toPrecision(6))

function describeUncertainty(landmark: DetectedLandmark): PointUncertainty {
  const { ere, mean, covariance, within, between, confidence } = landmark
  const matrix = (rows: Covariance) => rows.map(([a, b]) => [digits(a), digits(b)] as const)
  return {
    ...(ere !== undefined && { ere: digits(ere) }),
    ...(mean && { mean: [pixel(mean[0]), pixel(mean[1])] as const }),
    ...(covariance && { covariance: matrix(covariance) }),
    ...(within && { within: matrix(within) }),
    ...(between && { between: matrix(between) }),
    ...(confidence !== undefined && { confidence: digits(confidence) }),
  }
}

function describeImage(image: InputImage, detection: Detection): MutableImage {
  const { landmarks, width, height, pixelSize, chains, heatmapPixel } = detection
  const entry: MutableImage = {
    id: image.id,
    file: basename(image.file),
    width,
    height,
    pixelSize,
    points: landmarks.map(({ x, y }) => [pixel(x), pixel(y)]),
    uncertainty: landmarks.map(describeUncertainty),
    heatmapPixel: [digits(heatmapPixel[0]), digits(heatmapPixel[1])],
  }
  if (chains) {
    entry.chains = chains.map((points) => points.map(([x, y]) => [pixel(x), pixel(y)]))
  }
  return entry
}

async function writeOutputs(predictions: PredictionsFile, options: Options): Promise<void> {
  const { out } = options
  if (out === undefined || options.json) printJson(predictions)
  if (out === undefined) return
  await makeFolder(dirname(resolve(out)))
  const { writePredictions } = await import('../evaluation/predictions.js')
  await writePredictions(out, predictions)
  say(`Wrote ${out}`)
  const stem = basename(out).replace(/\.json$/, '')
  for (const format of options.format) {
    // The predictions file itself is written in any case, under the name that was given.
    if (format === 'json') continue
    const files = formatFiles(predictions, format, stem)
    for (const { path, text } of files) {
      const file = join(dirname(out), path)
      await makeFolder(dirname(file))
      await writeFile(file, text)
    }
    const [only] = files
    say(
      files.length === 1 && only
        ? `Wrote ${join(dirname(out), only.path)}`
        : `Wrote ${files.length} files ${join(dirname(out), `${stem}.${format}`)}`,
    )
  }
}
