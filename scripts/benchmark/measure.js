// What the benchmarks share: quantiles, a table, the machine, and the refusal to measure beside other work.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { versions } from 'landmark-diffusion/torch'

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}

export const median = (values) => quantile(values, 0.5)

/** A second busy process turns OpenMP's barriers into waits of a time slice: such figures mean nothing. */
export function refuseBusyMachine(force) {
  const [load] = loadavg()
  if (load > 0.5 && !force) {
    console.error(
      `The machine is busy (load ${load.toFixed(2)}): figures would be wrong. Wait, or measure all the same with --force.`,
    )
    process.exit(1)
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

export function writeJson(file, result) {
  if (file === undefined) return
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ machine: machine(), ...result }, null, 2)}\n`)
}
