// How long the event loop is held up while a preset trains: percentiles of monitorEventLoopDelay, during
// the warm-up (shapes are learnt, images decoded) and after it. Synthetic cephalograms, made first.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { synthesize, train } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import { printTable, refuseBusyMachine, writeJson } from './measure.js'

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    force: { type: 'boolean' },
    preset: { type: 'string', default: 'small' },
    steps: { type: 'string', default: '300' },
    warmup: { type: 'string', default: '20' },
    /** Milliseconds of other JavaScript work in every ten. */
    work: { type: 'string', default: '0' },
  },
})
refuseBusyMachine(values.force)

const steps = Number(values.steps)
const warmup = Number(values.warmup)
const folder = mkdtempSync(join(tmpdir(), 'event-loop-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
await synthesize(join(folder, 'data'), { count: 16, size: { width: 484, height: 600 }, seed: 1 })

const work = Number(values.work)
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
const run = train({
  preset: values.preset,
  data: join(folder, 'data'),
  out: join(folder, 'run'),
  set: [`train.steps=${steps}`],
})
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

printTable('Event-loop delay in milliseconds (the timer itself has a resolution of 1 ms)', rows)
console.log(`${stepsPerSecond.toFixed(2)} steps/s, preset ${values.preset}`)
printTable('Memory', memory)
writeJson(values.json, {
  benchmark: 'event-loop',
  preset: values.preset,
  work,
  rows,
  memory,
  stepsPerSecond,
})
