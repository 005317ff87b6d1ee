/** `landmark-diffusion reproduce`: trains, predicts and scores the rows of the paper's tables, at any preset, and prints them beside the paper's figures. */

import { join } from 'node:path'
import { Argument, type Command } from 'commander'
import type { Config } from '../training/config.js'
import {
  defineCommand,
  interruptSignal,
  positiveInteger,
  repeatable,
  usageError,
} from './command.js'
import type { ReproducedRow, Reproduction } from './reproduction/result.js'
import type { Stages } from './reproduction/stages.js'
import type { Row, Table, TableName } from './reproduction/tables.js'
import { writeResult } from './result.js'
import type { PairingOptions } from './scoring-options.js'

interface Options {
  data: string
  out: string
  preset: string
  set: string[]
  seeds: number
  device?: string
  json?: string | true
}

/** What all rows of a table share. */
interface Context extends Options {
  table: Table
  /** Folder of the table's predictions. */
  folder: string
  stages: Stages
}

/** The paper's truth, and its code's strict comparison. */
const pairing = { truth: 'mean', convention: 'strict' } as const satisfies PairingOptions

function runFolder(row: Row, out: string): string {
  return join(out, 'runs', row.run)
}

/** Trains the run of a row; returns what identifies it. */
function trainRun(row: Row, settings: Config, context: Context): Promise<string> {
  const { data, out, preset, set, device, stages } = context
  const run = runFolder(row, out)
  const changes = [...set, ...row.set].flatMap((assignment) => ['--set', assignment])
  const place = device === undefined ? [] : ['--device', device]
  return stages.run({
    words: [
      'train',
      '--preset',
      preset,
      ...changes,
      '--data',
      data,
      '--out',
      run,
      ...place,
      '--resume',
    ],
    makes: join(run, 'config.yaml'),
    dependsOn: [JSON.stringify(settings)],
  })
}

/** Predicts a row with one seed after the other, and returns the files. */
async function predictRow(row: Row, trained: string, context: Context): Promise<string[]> {
  const { data, out, seeds, device, table, folder, stages } = context
  const files: string[] = []
  // Without diffusion nothing is random.
  const count = row.run === 'baseline' ? 1 : seeds
  const place = device === undefined ? [] : ['--device', device]
  for (let seed = 0; seed < count; seed++) {
    const file = join(folder, row.id, `seed-${seed}.json`)
    const sampling = ['--steps', String(row.steps), '--seed', String(seed)]
    const source = ['--split', table.split, '--run', runFolder(row, out)]
    await stages.run({
      words: ['predict', data, ...source, ...sampling, ...place, '--out', file],
      makes: file,
      dependsOn: [trained],
    })
    files.push(file)
  }
  return files
}

/** Scores a row; nothing where the data have no annotations of the split. */
async function scoreRow(
  files: readonly string[],
  { table: { split }, data }: Context,
): Promise<Pick<ReproducedRow, 'result' | 'seeds'>> {
  const { evaluate, radialErrors, seedFigures } = await import('../evaluation/index.js')
  const { openTruth, readPairing } = await import('./scoring.js')
  const opened = await openTruth({ ...pairing, annotations: data })
  if ((opened.source.splits.get(split) ?? []).length === 0) return { result: null, seeds: null }
  const read = []
  for (const file of files) read.push(await readPairing(file, opened, { ...pairing, split }))
  const [first] = read
  if (first === undefined) return { result: null, seeds: null }
  const { images, points, missing, mre, sdr, median, over10mm } = evaluate(first)
  return {
    result: { images, points, missing, mre, sdr, median, over10mm },
    seeds: read.length > 1 ? seedFigures(read.map(radialErrors), pairing.convention) : null,
  }
}

async function reproduceRow(row: Row, settings: Config, context: Context): Promise<ReproducedRow> {
  const trained = await trainRun(row, settings, context)
  const { makeFolder } = await import('../output-folder.js')
  await makeFolder(join(context.folder, row.id))
  const predictions = await predictRow(row, trained, context)
  const { id, name, steps, paper, note } = row
  const { result, seeds } = await scoreRow(predictions, context)
  const run = runFolder(row, context.out)
  return {
    id,
    name,
    run,
    steps,
    predictions,
    result,
    seeds,
    paper,
    ...(note !== undefined && { note }),
  }
}

async function run(name: TableName, options: Options): Promise<void> {
  const { data, out, preset, set, seeds } = options
  const { tables } = await import('./reproduction/tables.js')
  const { loadConfig } = await import('../training/config.js')
  const { Stages } = await import('./reproduction/stages.js')
  const { formatReproduction } = await import('./reproduction/text.js')
  const { replaceFile } = await import('../evaluation/files.js')
  const config = loadConfig({ preset, set })
  if (config.diffusion.objective === 'none')
    throw usageError(
      `The preset ${preset} is without diffusion, which is one row of the table: choose the preset of the diffusion model, such as paper, isbi-diffusion or small.`,
    )
  const table: Table = tables[name]
  const folder = join(out, name)
  const stages = await Stages.open(out, interruptSignal())
  const rows: ReproducedRow[] = []
  const { title, split } = table
  const head = { table: name, title, preset, set, data, split, folder, seeds }
  const reproduction: Reproduction = { ...head, rows }
  for (const row of table.rows(config)) {
    const settings = loadConfig({ preset, set: [...set, ...row.set] })
    rows.push(await reproduceRow(row, settings, { ...options, table, folder, stages }))
    // After each row, so that what is done can be looked at.
    const text = `${JSON.stringify(reproduction, null, 2)}\n`
    await replaceFile(join(out, `${name}.json`), text, 'result')
  }
  await writeResult(reproduction, formatReproduction(reproduction), options.json)
}

export function reproduceCommand(): Command {
  return defineCommand({
    name: 'reproduce',
    summary:
      "Trains, predicts and scores each row of a table of the paper (arXiv 2407.09192) at a preset, and prints it beside the paper's figure. What is done already is not done again.",
    examples: [
      'landmark-diffusion reproduce table1 --data data/isbi --out runs/reproduction',
      'landmark-diffusion reproduce ablation-T --data data/isbi --out runs/small --preset small --seeds 5',
      'landmark-diffusion reproduce table2 --data data/isbi --out runs/small --preset small --set train.steps=2000 --json table2.json',
    ],
  })
    .addArgument(
      new Argument(
        '<table>',
        'table1 (Test 1), table2 (Test 2), ablation-T (length of the process) or ablation-objective (x0 or noise)',
      ).choices(['table1', 'table2', 'ablation-T', 'ablation-objective'] satisfies TableName[]),
    )
    .requiredOption('--data <dir>', 'data set in the ISBI 2015 layout')
    .requiredOption('--out <dir>', 'folder of the runs, the predictions and the results')
    .option('--preset <name>', 'settings of the diffusion model', 'paper')
    .option('--set <key=value>', 'change one setting; may be given several times', repeatable, [])
    .option('--seeds <n>', 'seeds of the sampling, each predicted and scored', positiveInteger, 1)
    .option('--device <name>', 'where to compute, as `train` and `predict` take it')
    .option('--json [file]', 'write the result as JSON (to standard output without a file)')
    .action(run)
}
