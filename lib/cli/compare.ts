/** `landmark-diffusion compare`: several predictions of the same images against each other. Loads no model and no libtorch. */

import type { Command } from 'commander'
import type { Contender } from '../evaluation/index.js'
import { defineCommand, positiveInteger, usageError } from './command.js'
import { writeResult } from './result.js'
import { openTruth, readPairing } from './scoring.js'
import { addPairingOptions, type PairingOptions } from './scoring-options.js'

interface CompareCommandOptions extends PairingOptions {
  annotations: string
  resamples?: number
  json?: string | true
}

async function run(inputs: string[], options: CompareCommandOptions): Promise<void> {
  if (inputs.length < 2)
    throw usageError('There is nothing to compare with: give at least two runs or predictions.')
  const twice = inputs.find((input, i) => inputs.indexOf(input) < i)
  if (twice !== undefined) throw usageError(`${twice} is given twice.`)
  const { compareErrors, formatComparison, radialErrors } = await import('../evaluation/index.js')
  const opened = await openTruth(options)
  const contenders: Contender[] = []
  for (const input of inputs)
    contenders.push({
      name: input,
      errors: radialErrors(await readPairing(input, opened, options)),
    })
  const { split = 'all', truth, convention, resamples } = options
  const result = compareErrors(contenders as [Contender, Contender, ...Contender[]], {
    convention,
    ...(resamples !== undefined && { bootstrap: { resamples } }),
  })
  await writeResult(
    { split, truth, ...result },
    formatComparison(result, `Split ${split}, truth ${truth}`),
    options.json,
  )
}

export function compareCommand(): Command {
  return addPairingOptions(
    defineCommand({
      name: 'compare',
      summary:
        'Compares runs or predictions of the same images with the first of them: paired differences with intervals and tests, landmark by landmark, and the images that changed.',
      examples: [
        'landmark-diffusion compare runs/baseline runs/diffusion --annotations data/isbi --split test1',
        'landmark-diffusion compare old.json new.json theirs.csv --annotations data/isbi --split test1 --json comparison.json',
      ],
    }),
  )
    .argument(
      '<run-or-predictions...>',
      'two or more: folders of runs with predictions, predictions files, or points in another format (docs/formats.md)',
    )
    .requiredOption('--annotations <path>', 'the data set, or its AnnotationsByMD folder')
    .option('--resamples <n>', 'resamples of the bootstrap (default: 2000)', positiveInteger)
    .option('--json [file]', 'write the result as JSON (to standard output without a file)')
    .action(run)
}
