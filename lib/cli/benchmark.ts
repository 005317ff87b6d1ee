/** `landmark-diffusion benchmark NAME`: runs one of the programs of scripts/benchmark in a process of its own. */

import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
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
        const summaries = await readSummaries()
        const names = Object.keys(summaries)
        if (name === undefined) {
          const width = Math.max(...names.map(({ length }) => length))
          for (const [each, summary] of Object.entries(summaries)) {
            process.stdout.write(`${each.padEnd(width)}  ${summary}\n`)
          }
          return
        }
        if (!names.includes(name)) {
          throw usageError(
            `There is no benchmark '${name}'. Did you mean '${closest(name, names)}'? There are: ${names.join(', ')}.`,
          )
        }
        await runBenchmark(name, [...rest, ...(options.json ? ['--json', options.json] : [])])
      })
  )
}

/** Name to what it measures, in the order of the list. */
async function readSummaries(): Promise<Record<string, string>> {
  return JSON.parse(await readFile(new URL('summaries.json', folder), 'utf8'))
}

/** Its own process: the figures of one benchmark must not depend on what ran before it. */
function runBenchmark(name: string, words: readonly string[]): Promise<void> {
  const script = fileURLToPath(new URL(`${name}.mjs`, folder))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...words], { stdio: 'inherit' })
    // Ctrl-C reaches it by itself; what is sent to this process alone does not.
    const forward = () => child.kill('SIGTERM')
    process.once('SIGTERM', forward)
    child.on('error', reject)
    child.on('close', (status, signal) => {
      process.off('SIGTERM', forward)
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
