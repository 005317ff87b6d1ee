// How long the event loop is held up while a preset trains: percentiles of monitorEventLoopDelay, during
// the warm-up (shapes are learnt, images decoded) and after it. Synthetic cephalograms, made first. The executor runs
// at nice 10, or at 0 for comparison, alone and beside other JavaScript work: each combination in a process of its own.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { synthesize, train } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import { positiveInteger } from '#lib/cli/command.js'
import { printTable, readOptions, refuseBusyMachine, writeJson } from './measure.js'

const values = await readOptions({
  name: 'event-loop',
  examples: ['', '--preset small --steps 300 --nice 10 --work 0,3'],
  options: [
    ['--preset <name>', 'what trains', 'small'],
    ['--steps <n>', 'in all', positiveInteger, 150],
    ['--warmup <n>', 'the first of them, measured apart', positiveInteger, 20],
    ['--nice <list>', 'niceness of the executor, several with commas between', '10,0'],
    ['--work <list>', 'milliseconds of other JavaScript work in every ten, likewise', '0,3'],
    ['--eager', 'op by op, instead of steps as recorded programs'],
    ['--data <folder>', 'measure in this process, with this data set; else in one for each case'],
  ],
})

await (values.data === undefined ? compare() : measure(values.data))

/** All combinations in turn. */
async function compare() {
  refuseBusyMachine(values.force)
  const folder = mkdtempSync(join(tmpdir(), 'event-loop-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  await synthesize(data, { count: 16, size: { width: 484, height: 600 }, seed: 1 })
  const runs = []
  for (const work of values.work.split(',')) {
    for (const nice of values.nice.split(',')) {
      const json = join(folder, 'run.json')
      const { preset, steps, warmup } = values
      const options = Object.entries({ data, json, preset, steps, warmup, nice, work })
      const { status } = spawnSync(
        process.execPath,
        [
          fileURLToPath(import.meta.url),
          ...options.flatMap(([name, value]) => [`--${name}`, String(value)]),
          ...(values.eager ? ['--eager'] : []),
        ],
        { stdio: 'inherit', env: { ...process.env, LANDMARK_DIFFUSION_NICE: nice } },
      )
      if (status !== 0) process.exit(1)
      const { machine, ...run } = JSON.parse(readFileSync(json, 'utf8'))
      runs.push(run)
    }
  }
  const summary = runs.map(({ work, nice, rows, stepsPerSecond }) => {
    const { p50, p99, max } = rows.at(-1)
    return { 'nice, work of 10 ms': `${nice}, ${work}`, p50, p99, max, 'steps/s': stepsPerSecond }
  })
  printTable(
    `Event-loop delay in milliseconds after ${values.warmup} steps of ${values.preset}`,
    summary,
  )
  const { preset, eager = false } = values
  writeJson(values.json, { benchmark: 'event-loop', preset, eager, runs })
}

/** One combination, in this process. */
async function measure(data) {
  const { steps, warmup } = values
  const work = Number(values.work)
  const out = mkdtempSync(join(tmpdir(), 'event-loop-run-'))
  process.on('exit', () => rmSync(out, { recursive: true, force: true }))
  const busy = setInterval(() => {
    const end = performance.now() + work
    while (performance.now() < end);
  }, 10)
  if (work === 0) clearInterval(busy)

  let histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const rows = []
  function close(phase) {
    histogram.disable()
    const ms = (nanoseconds) => nanoseconds / 1e6
    rows.push({
      phase,
      p50: ms(histogram.percentile(50)),
      p99: ms(histogram.percentile(99)),
      max: ms(histogram.max),
    })
    histogram = monitorEventLoopDelay({ resolution: 1 })
    histogram.enable()
  }

  let started = 0
  const memory = []
  const run = train(
    { preset: values.preset, data, out, set: [`train.steps=${steps}`] },
    { eager: values.eager ?? false },
  )
  for await (const event of run) {
    if (event.type !== 'step') continue
    if (event.step === warmup) {
      close(`first ${warmup} steps`)
      started = performance.now()
    }
    if (event.step % 50 === 0) {
      memory.push({
        step: event.step,
        tensors: torch.memory().tensors,
        rssMiB: process.memoryUsage().rss / 2 ** 20,
      })
    }
  }
  const stepsPerSecond = (1000 * (steps - warmup)) / (performance.now() - started)
  close('after them')
  clearInterval(busy)

  printTable(
    `Event-loop delay in milliseconds, executor at nice ${values.nice}, work ${work}`,
    rows,
  )
  console.log(`${stepsPerSecond.toFixed(2)} steps/s`)
  if (memory.length > 0) printTable('Memory', memory)
  writeJson(values.json, { nice: Number(values.nice), work, rows, memory, stepsPerSecond })
}
