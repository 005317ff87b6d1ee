/** `landmark-diffusion dataset check`: what is wrong with a data set, in words. Loads no model and no libtorch. */

import type { Command } from 'commander'
import type { CheckResult } from '../data/check/index.js'
import { defineCommand, exitStatus, printJson } from './command.js'
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
    summary: 'Checks a data set of images and annotations.',
    examples: ['landmark-diffusion dataset check data/isbi'],
  }).addCommand(checkCommand)
}
