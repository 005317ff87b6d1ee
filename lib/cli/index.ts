#!/usr/bin/env node
/**
 * The command line `landmark-diffusion`. Only the module of the command that was asked for is loaded, so that help
 * and usage errors come at once and need no libtorch.
 */

import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { defineCommand, exitStatus, reportFailure, runCommand } from './command.js'

interface Entry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

/** Every command, in the order in which a new user meets them. */
const commands: Readonly<Record<string, Entry>> = {
  setup: {
    summary: 'put a libtorch in the cache, verified by hash',
    load: async () => (await import('./setup.js')).setupCommand(),
  },
  info: {
    summary: 'show versions, libtorch, devices, CPU features and memory',
    load: async () => (await import('./info.js')).infoCommand(),
  },
  synthesize: {
    summary: 'write a data set of synthetic cephalograms in the ISBI layout',
    load: async () => (await import('./synthesize.js')).synthesizeCommand(),
  },
  dataset: {
    summary: 'check a data set of images and annotations',
    load: async () => (await import('./dataset.js')).datasetCommand(),
  },
  train: {
    summary: 'train a landmark detector',
    load: async () => (await import('./train.js')).trainCommand(),
  },
  predict: {
    summary: 'find the landmarks of images, folders or globs',
    load: async () => (await import('./predict.js')).predictCommand(),
  },
  evaluate: {
    summary: 'score predictions against annotations',
    load: async () => (await import('./evaluate.js')).evaluateCommand(),
  },
  compare: {
    summary: 'compare several predictions of the same images',
    load: async () => (await import('./compare.js')).compareCommand(),
  },
  report: {
    summary: 'write one self-contained HTML report',
    load: async () => (await import('./report.js')).reportCommand(),
  },
  reproduce: {
    summary: "train, predict and score the rows of the paper's tables",
    load: async () => (await import('./reproduce.js')).reproduceCommand(),
  },
  benchmark: {
    summary: 'run one of the benchmarks',
    load: async () => (await import('./benchmark.js')).benchmarkCommand(),
  },
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** The program with stubs for all commands but `loaded`; the stubs only serve the list and the suggestions. */
async function buildProgram(loaded: Command | null): Promise<Command> {
  const program = defineCommand({
    name: 'landmark-diffusion',
    summary: 'Diffusion-based anatomical landmark detection.',
    examples: [
      'landmark-diffusion synthesize data/synthetic',
      'landmark-diffusion train --preset small --data data/synthetic --out runs/first',
      'landmark-diffusion train --help',
    ],
  })
    .version(await packageVersion(), '-V, --version', 'show the version')
    .helpCommand('help [command]', 'show the help of a command')
    // `setup --version 2.11.0` means the version of torch, not of this package.
    .enablePositionalOptions()
  for (const [name, { summary }] of Object.entries(commands)) {
    if (loaded?.name() === name) program.addCommand(loaded)
    else
      program.addCommand(defineCommand({ name, summary, examples: [`landmark-diffusion ${name}`] }))
  }
  return program
}

/** Runs the words after the program's name and returns the exit status. */
async function main(words: readonly string[]): Promise<number> {
  const plain = words.filter((word) => !word.startsWith('-'))
  const name = plain[0] === 'help' ? plain[1] : plain[0]
  const entry = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  try {
    const program = await buildProgram(entry ? await entry.load() : null)
    if (words.length === 0) {
      program.outputHelp()
      return exitStatus.usage
    }
    return await runCommand(program, words)
  } catch (error) {
    return reportFailure(error, words.includes('--debug'))
  }
}

// `landmark-diffusion info | head` closes the pipe early; that is not a failure of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const status = await main(process.argv.slice(2))
process.exitCode = status
// A failed job may leave workers behind that would keep the process alive.
if (status !== exitStatus.done) setTimeout(() => process.exit(status), 3000).unref()
