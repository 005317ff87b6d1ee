/** `landmark-diffusion train`: trains, with progress, and goes on where it stopped with `--resume`. */

import type { Command } from 'commander'
import type { TrainEvent, TrainOptions } from '../training/trainer.js'
import {
  defineCommand,
  interruptSignal,
  Progress,
  positiveInteger,
  printJson,
  repeatable,
  say,
  usageError,
  wholeNumber,
} from './command.js'
import { endWithLauncher, isSilentRank, launch } from './launch.js'
import { formatDuration } from './progress.js'

interface Options {
  config?: string
  preset?: string
  data?: string
  out?: string
  set?: string[]
  resume?: boolean
  device?: string
  seed?: number
  processes?: number
  eager?: boolean
  schema?: boolean
  json?: boolean
}

/** What ctrl-C leaves behind is good, but the job is not done: the shell's usual status for SIGINT. */
const interruptedStatus = 130

export function trainCommand(): Command {
  return defineCommand({
    name: 'train',
    summary: 'train a landmark detector',
    examples: [
      'landmark-diffusion train --preset small --data data/synthetic --out runs/first',
      "landmark-diffusion train --config my.yaml --data data/isbi --out runs/isbi --set train.lr=5e-4 --set 'model.attention=[8,16]'",
      'landmark-diffusion train --out runs/isbi --resume',
      'landmark-diffusion train --preset paper --data data/isbi --out runs/paper --processes 4',
      'torchrun --nnodes 2 --nproc-per-node 4 --no-python landmark-diffusion train --preset paper --data data/isbi --out runs/paper',
      'landmark-diffusion train --schema > config.schema.json',
    ],
  })
    .option('--preset <name>', 'start from a preset: paper, baseline, small, tiny, ...')
    .option('--config <file>', 'YAML or JSON file with settings, over the preset that it names')
    .option('--set <key=value>', 'change one setting; may be given several times', repeatable)
    .option('--data <dir>', 'data set in the ISBI 2015 layout')
    .option('--out <dir>', 'folder of the run: configuration, metrics, checkpoints')
    .option('--resume', 'go on exactly where the run in --out stopped')
    .option('--seed <n>', 'seed of everything random (train.seed)', wholeNumber)
    .option(
      '--device <name>',
      'where to compute: cpu (default), cuda:0, ...; several processes: a GPU each, where there are GPUs',
    )
    .option('--processes <n>', 'train in n processes, one a device', positiveInteger)
    .option('--eager', 'run steps op by op instead of as recorded programs, with equal results')
    .option('--schema', 'print the JSON Schema of the configuration, and stop')
    .option('--json', 'print a summary of the run as JSON at the end')
    .action(async (options: Options) => {
      if (options.schema) {
        const { configJsonSchema } = await import('../training/config.js')
        printJson(configJsonSchema())
        return
      }
      const { processes = 1, ...rest } = options
      checkUsage(rest)
      if (processes > 1) process.exitCode = await launch(wordsWithoutProcesses(), processes)
      else await runTraining(rest)
    })
}

function checkUsage(options: Options): asserts options is Options & { out: string } {
  if (options.out === undefined) throw usageError('Missing --out DIR, the folder of the run.')
  if (!options.resume && options.preset === undefined && options.config === undefined) {
    throw usageError('Missing --preset NAME or --config FILE: what should be trained?')
  }
}

/** What this process was called with, for the processes that do the work. */
function wordsWithoutProcesses(): string[] {
  const words = process.argv.slice(2)
  const place = words.indexOf('--processes')
  if (place >= 0) words.splice(place, 2)
  return words.filter((word) => !word.startsWith('--processes='))
}

async function runTraining({ json, schema: _schema, ...options }: Options & { out: string }) {
  const trainOptions: TrainOptions = options
  endWithLauncher()
  const { train } = await import('../training/trainer.js')
  const report = isSilentRank() ? null : new TrainingReport()
  try {
    for await (const event of train(trainOptions, { signal: interruptSignal() })) {
      if (report) report.take(event)
      else if (event.type === 'end' && event.reason === 'aborted')
        process.exitCode = interruptedStatus
    }
  } finally {
    report?.finish()
  }
  if (json && report) printJson(report.summary)
}

/** Turns events into progress lines, and remembers what the end is to be told. */
class TrainingReport {
  summary: Record<string, unknown> = {}
  #progress: Progress | null = null
  #best: { step: number; mre: number; unit: string } | null = null
  #folder = ''

  take(event: TrainEvent): void {
    switch (event.type) {
      case 'prepare':
        this.#progress ??= new Progress('decoding images', { total: event.total })
        this.#progress.update(event.done)
        break
      case 'start':
        this.finish()
        this.#folder = event.folder
        say(describeStart(event))
        this.#progress = new Progress('training', { total: event.total, start: event.step })
        break
      case 'step': {
        const { step, epoch, loss, nll, mse, lr } = event
        const speed = { 'images/s': event.imagesPerSecond }
        this.#progress?.update(step, { epoch, loss, nll, mse, lr, ...speed })
        break
      }
      case 'validation': {
        const { step, mre, median, sdr2, gross, unit, best } = event
        if (best) this.#best = { step, mre, unit }
        const millimetres = sdr2 === null ? '' : `, SDR2 ${sdr2.toFixed(1)} %, ${gross} over 10 mm`
        this.#progress?.note(
          `step ${step}: validation MRE ${mre.toFixed(2)} ${unit} (median ${median.toFixed(2)}${millimetres})${best ? ', the best so far' : ''}`,
        )
        break
      }
      case 'checkpoint':
        break
      case 'warning':
        say(event.message)
        break
      case 'end':
        this.finish()
        this.#end(event)
        break
    }
  }

  finish(): void {
    this.#progress?.finish()
    this.#progress = null
  }

  #end({ step, seconds, reason, programs }: Extract<TrainEvent, { type: 'end' }>): void {
    this.summary = { folder: this.#folder, step, seconds, reason, best: this.#best, programs }
    const time = formatDuration(seconds)
    switch (reason) {
      case 'done':
        say(`Trained ${step} steps in ${time}: ${this.#folder}`)
        break
      case 'time':
        say(`The time is up after ${step} steps (${time}): ${this.#folder}`)
        break
      case 'aborted':
        say(`Saved at step ${step}; go on with: train --out ${this.#folder} --resume`)
        process.exitCode = interruptedStatus
        break
    }
  }
}

function describeStart(event: Extract<TrainEvent, { type: 'start' }>): string {
  const { config, images, validationImages, parameters, step, total, device, precision } = event
  const { width, height } = config.data
  const held = validationImages > 0 ? ` (${validationImages} more held out for validation)` : ''
  const from = step > 0 ? `, going on at step ${step}` : ''
  return (
    `${images} images of ${width}x${height}${held}, ${(parameters / 1e6).toFixed(2)} M parameters, ` +
    `objective ${config.diffusion.objective}, ${precision} on ${device}, ${total} steps of ${config.train.batchSize}${from}`
  )
}
