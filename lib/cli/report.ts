/** `landmark-diffusion report`: one self-contained HTML file with figures, plots and pictures. Loads no model and no libtorch. */

import type { Command } from 'commander'
import { defineCommand, Progress, positiveInteger, say, wholeNumber } from './command.js'
import { landmarkSetOf, type ScoredPredictions, scorePredictions } from './scoring.js'
import { addScoringOptions, type ScoringOptions } from './scoring-options.js'

interface ReportCommandOptions extends ScoringOptions {
  images?: string
  out: string
  worst: number
  originals: number
  title?: string
}

async function run(options: ReportCommandOptions): Promise<void> {
  const { annotations, images, out, worst, originals, title } = options
  const { buildReport, heatmapFolder, ImageFolder, replaceFile } = await import(
    '../evaluation/index.js'
  )
  const { readAnyPredictions } = await import('./predictions.js')
  const scored: Partial<ScoredPredictions> & Pick<ScoredPredictions, 'predictions'> =
    annotations === undefined
      ? {
          predictions: await readAnyPredictions(options.predictions, {
            set: await landmarkSetOf(options),
            pixelSizeOf: () => options.pixelSize ?? null,
          }),
        }
      : await scorePredictions({ ...options, annotations })
  const { decodeImage } = await import('../data/image.js')
  const { cephalometric19 } = await import('../landmarks/cephalometry.js')
  const folder = images === undefined ? null : await ImageFolder.open(images)
  const count = Math.min(worst, scored.scores?.result.images ?? scored.predictions.images.length)
  using progress = new Progress('Pictures', { total: count })
  const page = await buildReport({
    ...scored,
    predictionsPath: options.predictions,
    labels: new Map(
      (scored.landmarkSet ?? cephalometric19).landmarks.map(({ name, label }) => [name, label]),
    ),
    images: folder,
    heatmaps: options.heatmaps === undefined ? null : heatmapFolder(options.heatmaps),
    decode: (path) => decodeImage(path),
    worst,
    originals,
    ...(title !== undefined && { title }),
    onProgress: (done) => progress.update(done),
  })
  progress.finish()
  await replaceFile(out, page, 'report')
  say(
    `Report written to ${out} (${(Buffer.byteLength(page) / 2 ** 20).toFixed(1)} MiB); open it in a browser.`,
  )
}

export function reportCommand(): Command {
  return addScoringOptions(
    defineCommand({
      name: 'report',
      summary:
        'Writes one self-contained HTML file: figures, calibration, clinical agreement, and the images with predicted and true points, worst first.',
      examples: [
        'landmark-diffusion report --predictions predictions.json --annotations data/isbi --images data/isbi --split test1 --out report.html',
        'landmark-diffusion report --predictions out/test1.json --heatmaps out/heatmaps --annotations data/isbi --images data/isbi --out report.html',
      ],
    }),
  )
    .option(
      '--annotations <dir>',
      'the data set, or its AnnotationsByMD folder (default: no scores)',
    )
    .option('--images <dir>', 'the folder of the predicted images, searched with all below it')
    .requiredOption('--out <file>', 'HTML file to write')
    .option('--worst <count>', 'how many images to show, the worst', positiveInteger, 150)
    .option(
      '--originals <count>',
      'how many of these to embed with all pixels of the original; the others are reduced',
      wholeNumber,
      24,
    )
    .option('--title <text>', 'title of the report')
    .action(run)
}
