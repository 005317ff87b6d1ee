/** `landmark-diffusion dataset`: what is wrong with a data set, in words; and a data set as one small file. Loads no model and no libtorch. */

import type { Command } from 'commander'
import type { CheckResult } from '../data/check/index.js'
import {
  defineCommand,
  exitStatus,
  interruptSignal,
  Progress,
  positiveInteger,
  printJson,
  say,
} from './command.js'
import { landmarkSetOf } from './scoring.js'
import { pixelSize } from './scoring-options.js'

interface CheckOptions {
  json?: boolean
  landmarks?: string
  pixelSize?: [number, number]
}

/** At most so many findings of one kind are printed; the rest are counted. */
const shownPerKind = 12

function report({ format, landmarkSet, images, annotators, findings }: CheckResult): string {
  const problems = findings.filter(({ severity }) => severity === 'problem').length
  const head = `${format}: ${images} images, ${landmarkSet.landmarks.length} landmarks, ${annotators.length === 1 ? 'one annotator' : annotators.join(' and ')}. ${problems} problems, ${findings.length - problems} notes.`
  const kinds = [...new Set(findings.map(({ severity, kind }) => `${severity}: ${kind}`))].sort(
    (a, b) => b.localeCompare(a),
  )
  const sections = kinds.map((title) => {
    const own = findings.filter(({ severity, kind }) => `${severity}: ${kind}` === title)
    const rest = own.length > shownPerKind ? [`  and ${own.length - shownPerKind} more`] : []
    const lines = own.slice(0, shownPerKind).map(({ message }) => `  ${message}`)
    return [`${title} (${own.length})`, ...lines, ...rest].join('\n')
  })
  return `${[head, ...sections].join('\n\n')}\n`
}

async function check(path: string, options: CheckOptions): Promise<void> {
  const { openAnnotations } = await import('../data/annotations/index.js')
  const { checkDataset } = await import('../data/check/index.js')
  const source = await openAnnotations(path, {
    set: await landmarkSetOf(options),
    ...(options.pixelSize && { pixelSize: options.pixelSize }),
  })
  const result = await checkDataset(path, source)
  const problems = result.findings.filter(({ severity }) => severity === 'problem').length
  if (options.json) {
    const { landmarkSet, ...rest } = result
    printJson({ ...rest, landmarks: landmarkSet.landmarks.map(({ name }) => name), problems })
  } else process.stdout.write(report(result))
  process.exitCode = problems > 0 ? exitStatus.failed : exitStatus.done
}

interface PackOptions {
  out: string
  width: number
  height: number
  limit: number
  json?: boolean
}

async function pack(dir: string, { out, width, height, limit, json }: PackOptions): Promise<void> {
  const { packDataset } = await import('../data/pack.js')
  let progress: Progress | null = null
  const result = await packDataset(dir, out, {
    canvas: { width, height },
    limit,
    signal: interruptSignal(),
    onProgress: (done, total) => {
      progress ??= new Progress('decoding images', { total })
      progress.update(done)
      if (done === total) progress.finish()
    },
  })
  if (json) printJson(result)
  else
    say(
      `${out}: ${result.images} images of ${width}x${height} in ${result.bytes} bytes, JPEG quality ${result.quality}`,
    )
}

async function unpack(file: string, dir: string): Promise<void> {
  const { unpackDataset } = await import('../data/pack.js')
  const { images } = await unpackDataset(file, dir)
  say(`${dir}: ${images} images`)
}

function packCommand(): Command {
  return defineCommand({
    name: 'pack',
    summary:
      'Puts a data set in the ISBI 2015 layout into one small file: images on the canvas of a network as JPEG, and the points with them.',
    examples: ['landmark-diffusion dataset pack data/isbi --out isbi-640x800.pack'],
  })
    .argument('<dir>', 'data set in the ISBI 2015 layout')
    .requiredOption('--out <file>', 'the file to write')
    .option('--width <pixels>', 'width of the canvas', positiveInteger, 640)
    .option('--height <pixels>', 'height of the canvas', positiveInteger, 800)
    .option(
      '--limit <bytes>',
      'most bytes: the JPEG quality is chosen by it',
      positiveInteger,
      35_000_000,
    )
    .option('--json', 'print the result as JSON')
    .action(pack)
}

function unpackCommand(): Command {
  return defineCommand({
    name: 'unpack',
    summary: 'Writes the data set of a pack into a folder, where all commands can use it.',
    examples: ['landmark-diffusion dataset unpack isbi-640x800.pack data/isbi-640x800'],
  })
    .argument('<file>', 'what `dataset pack` wrote')
    .argument('<dir>', 'a new or empty folder')
    .action(unpack)
}

export function datasetCommand(): Command {
  const checkCommand = defineCommand({
    name: 'check',
    summary:
      'Looks for shifted conventions, outliers, swapped landmarks, implausible spacing, missing files and duplicates. Ends with status 1 if there is a problem.',
    examples: [
      'landmark-diffusion dataset check data/isbi',
      'landmark-diffusion dataset check data/isbi --json > findings.json',
    ],
  })
    .argument('<path>', 'a data set in any format of docs/formats.md')
    .option('--landmarks <file>', 'landmark file, for data that do not name their landmarks')
    .option('--pixel-size <mm>', 'pixel size where the data say none, as 0.1 or 0.1,0.1', pixelSize)
    .option('--json', 'print the findings as JSON')
    .action(check)
  return defineCommand({
    name: 'dataset',
    summary: 'Checks a data set of images and annotations, or packs it into one file.',
    examples: ['landmark-diffusion dataset check data/isbi'],
  })
    .addCommand(checkCommand)
    .addCommand(packCommand())
    .addCommand(unpackCommand())
}
