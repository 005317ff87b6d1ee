/** `landmark-diffusion evaluate`: predictions against annotations, as a table and as JSON. Loads no model and no libtorch. */

import type { Command } from 'commander'
import { defineCommand, printJson, say } from './command.js'
import { addScoringOptions, type Comparison, compare, type ScoringOptions } from './scoring.js'

interface EvaluateCommandOptions extends ScoringOptions {
  annotations: string
  json?: string | true
}

/** The result as other programs read it: the evaluation result, and the summaries of its references. */
function jsonResult({ scores: { result, references } }: Comparison): object {
  return {
    ...result,
    references: references.map(({ name, result: { images, points, mre, sdr } }) => ({
      name,
      images,
      points,
      mre,
      sdr,
    })),
  }
}

async function run(options: EvaluateCommandOptions): Promise<void> {
  const comparison = await compare(options)
  const { formatEvaluation, replaceFile } = await import('../evaluation/index.js')
  const { result, references } = comparison.scores
  const toOutput = options.json === true || options.json === '-'
  if (toOutput) {
    printJson(jsonResult(comparison))
    return
  }
  process.stdout.write(formatEvaluation(result, references))
  if (typeof options.json === 'string') {
    const path = options.json
    const text = `${JSON.stringify(jsonResult(comparison), null, 2)}\n`
    await replaceFile(path, text, 'result')
    say(`Result written to ${path}.`)
  }
}

export function evaluateCommand(): Command {
  return addScoringOptions(
    defineCommand({
      name: 'evaluate',
      summary:
        'Scores predictions against annotations: MRE, SD and SDR in mm, per landmark, beside the mean shape and the doctors.',
      examples: [
        'landmark-diffusion evaluate --predictions predictions.json --annotations data/isbi --split test1 --json result.json',
      ],
    }),
  )
    .requiredOption('--annotations <dir>', 'the data set, or its AnnotationsByMD folder')
    .option('--json [file]', 'write the result as JSON (to standard output without a file)')
    .action(run)
}
