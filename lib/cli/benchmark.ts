/** `landmark-diffusion benchmark NAME`: runs one of the programs of scripts/benchmark in a process of its own. */

import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { closest } from 'fastest-levenshtein'
import { LandmarkDiffusionError } from '../errors.js'
import { defineCommand, exitStatus, usageError } from './command.js'

const folder = new URL('../../scripts/benchmark/', import.meta.url)

export function benchmarkCommand(): Command {
  return (
    defineCommand({
      name: 'benchmark',
      summary: 'run one of the benchmarks; without a name, list them',
      examples: [
        'landmark-diffusion benchmark',
        'landmark-diffusion benchmark pytorch --help',
        'landmark-diffusion benchmark op-cost --json op-cost.json',
      ],
    })
      .argument('[name]', 'which benchmark')
      .argument('[options...]', 'its own options; NAME --help lists them')
      .option('--json <file>', 'write the figures to this file')
      // What follows the name is the benchmark's, --help too.
      .passThroughOptions()
      .action(async (name: string | undefined, rest: string[], options: { json?: string }) => {
        const names = await benchmarkNames()
        if (name === undefined) {
          process.stdout.write(names.length > 0 ? `${names.join('\n')}\n` : 'There are none.\n')
          return
        }
        if (!names.includes(name)) {
          const hint =
            names.length > 0
              ? ` Did you mean '${closest(name, names)}'? There are: ${names.join(', ')}.`
              : ''
          throw usageError(`There is no benchmark '${name}'.${hint}`)
        }
        await runBenchmark(name, [...rest, ...(options.json ? ['--json', options.json] : [])])
      })
  )
}

async function benchmarkNames(): Promise<string[]> {
  const files = await readdir(folder).catch(() => [])
  return files
    .filter((file) => file.endsWith('.mjs'))
    .map((file) => file.slice(0, -'.mjs'.length))
    .sort()
}

/** Its own process: the figures of one benchmark must not depend on what ran before it. */
function runBenchmark(name: string, words: readonly string[]): Promise<void> {
  const script = fileURLToPath(new URL(`${name}.mjs`, folder))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...words], { stdio: 'inherit' })
    child.on('error', reject)
    child.on('close', (status, signal) => {
      if (signal) {
        reject(
          new LandmarkDiffusionError('ERR_DATA', `The benchmark '${name}' ended by ${signal}.`),
        )
        return
      }
      // It has said itself what went wrong.
      process.exitCode = status ?? exitStatus.failed
      resolve()
    })
  })
}
