// What the benchmarks share: their options, quantiles, a table, the machine, and the refusal to measure beside other work.
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { versions } from 'landmark-diffusion/torch'
import { defineCommand, runCommand } from '#lib/cli/command.js'
import { makeFolder } from '../make-folder.mjs'

const summaries = JSON.parse(readFileSync(new URL('summaries.json', import.meta.url), 'utf8'))

/**
 * The options of a benchmark by their names; ends the process for --help and for wrong usage.
 * options: [flags, description, reader or default, default], as commander's `option` takes them.
 */
export async function readOptions({ name, examples, options = [] }) {
  const command = defineCommand({
    name: `landmark-diffusion benchmark ${name}`,
    summary: summaries[name],
    examples: examples.map((words) => `landmark-diffusion benchmark ${name} ${words}`.trim()),
  })
  for (const option of options) command.option(...option)
  command.option('--json <file>', 'write the figures to this file')
  command.option('--force', 'measure on a busy machine too')
  let values
  command.action((given) => {
    values = given
  })
  const status = await runCommand(command, process.argv.slice(2))
  if (values === undefined) process.exit(status)
  return values
}

/** One clear sentence, and the end. */
export function fail(message) {
  console.error(message)
  process.exit(1)
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}

export const median = (values) => quantile(values, 0.5)

/** A second busy process turns OpenMP's barriers into waits of a time slice: such figures mean nothing. */
export function refuseBusyMachine(force) {
  const [load] = loadavg()
  if (load > 0.5 && !force) {
    fail(
      `The machine is busy (load ${load.toFixed(2)}): figures would be wrong. Wait, or measure all the same with --force.`,
    )
  }
}

export function machine() {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model.trim(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    ...versions(),
  }
}

export function printTable(title, rows) {
  console.log(`\n${title}`)
  const text = (value) => (typeof value === 'number' ? value.toFixed(3) : String(value))
  const names = Object.keys(rows[0])
  const widths = names.map((name) =>
    Math.max(name.length, ...rows.map((row) => text(row[name]).length)),
  )
  const line = (cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')
  console.log(line(names))
  for (const row of rows) console.log(line(names.map((name) => text(row[name]))))
}

/** Makes a folder that results will be written to: better now than after minutes of measuring. */
export function prepareFolder(folder) {
  if (folder === undefined) return
  try {
    makeFolder(folder)
    accessSync(folder, constants.W_OK)
  } catch (error) {
    fail(`Nothing can be written to '${folder}' (${error.message}); give another folder.`)
  }
}

export function writeJson(file, result) {
  if (file === undefined) return
  makeFolder(dirname(resolve(file)))
  writeFileSync(file, `${JSON.stringify({ machine: machine(), ...result }, null, 2)}\n`)
}
