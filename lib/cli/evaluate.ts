/** `landmark-diffusion evaluate`: predictions against annotations, as tables and as JSON. Loads no model and no libtorch. */

import type { Command } from 'commander'
import { defineCommand, usageError } from './command.js'
import { writeResult } from './result.js'
import { type ScoredPredictions, scorePredictions } from './scoring.js'
import { addScoringOptions, type ScoringOptions } from './scoring-options.js'

interface EvaluateCommandOptions extends ScoringOptions {
  annotations: string
  json?: string | true
  tables: string[]
}

/** Tables that are always made; the rest are the parts of the evaluation. */
const mainTables = ['summary', 'landmarks']
const defaultTables = [...mainTables, 'published', 'seeds', 'truths', 'clinical']

/** The result as other programs read it: the evaluation result, the summaries of its references, and every part under its key. */
function jsonResult({ scores: { result, references }, parts }: ScoredPredictions): object {
  return {
    ...result,
    references: references.map(({ name, result: { images, points, mre, sdr } }) => ({
      name,
      images,
      points,
      mre,
      sdr,
    })),
    ...Object.fromEntries([...parts].map(([key, { value }]) => [key, value])),
  }
}

/** The tables that were asked for, in the order of the parts. @throws ERR_USAGE for a name that is no table */
function chooseTables(wanted: readonly string[], known: readonly string[]): string[] {
  const all = [...mainTables, ...known]
  if (wanted.includes('all')) return all
  const mistaken = wanted.find((name) => !all.includes(name))
  if (mistaken !== undefined)
    throw usageError(`There is no table '${mistaken}': choose from ${all.join(', ')} and all.`)
  return all.filter((name) => wanted.includes(name))
}

async function run(options: EvaluateCommandOptions): Promise<void> {
  const { formatEvaluation, parts } = await import('../evaluation/index.js')
  const tables = chooseTables(
    options.tables,
    parts.map(({ key }) => key),
  )
  const scored = await scorePredictions(options)
  const { result, references } = scored.scores
  const sections = [
    ...formatEvaluation(result, references, tables),
    ...tables.flatMap((name) => scored.parts.get(name)?.text ?? []),
  ]
  await writeResult(jsonResult(scored), sections, options.json)
}

export function evaluateCommand(): Command {
  return addScoringOptions(
    defineCommand({
      name: 'evaluate',
      summary:
        'Scores predictions against annotations: MRE, SD and SDR in mm, per landmark, beside the mean shape and the doctors.',
      examples: [
        'landmark-diffusion evaluate --predictions predictions.json --annotations data/isbi --split test1 --json result.json',
        'landmark-diffusion evaluate --predictions all.json --annotations data/isbi --split test1 --heatmaps out/heatmaps --calibration train --tables uncertainty',
        'landmark-diffusion evaluate --predictions seed0.json --repeats seed1.json seed2.json seed3.json seed4.json --annotations data/isbi --split test1',
        'landmark-diffusion evaluate --predictions predictions.csv --annotations data/isbi --truth senior --tables all',
      ],
    }),
  )
    .requiredOption('--annotations <path>', 'the data set, or its AnnotationsByMD folder')
    .option(
      '--repeats <files...>',
      'predictions of the same images with other seeds: mean and SD over the seeds',
    )
    .option(
      '--tables <names>',
      'what to print, separated by commas, as in summary,landmarks,bias; or all',
      (text) => text.split(',').map((name) => name.trim()),
      defaultTables,
    )
    .option('--json [file]', 'write the result as JSON (to standard output without a file)')
    .action(run)
}
