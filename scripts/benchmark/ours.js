// One of our ways to run a workload: takes commands from stdin, one JSON a line, and answers each with one.
//   node ours.js FOLDER, where FOLDER holds case.json
//
// {"check": true}: the first run, its result as float32 in FOLDER/result. {"run": n}: n repetitions, after one that does
// not count (memory and caches had been others') -> their milliseconds. {"usage": true}: resident memory at its peak since
// the check. The PyTorch side answers the same; ours alone: {"loop": n}: what n repetitions cost the JavaScript thread, and
// how late its event loop is. {"record": n}: the milliseconds of n runs that each record a new program.
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'

const [folder] = process.argv.slice(2)
const begin = performance.now()
const torch = await import('landmark-diffusion/torch')
const { repeatable } = await import('./repeatable.js')
torch.tensor([0])
const imported = (performance.now() - begin) / 1000

const {
  tensors: file,
  threads,
  variant,
  ...description
} = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'))
torch.setNumThreads(threads)
const { run, runTrain, result, renew } = await repeatable(
  description,
  await torch.load(file),
  variant.run,
)

/** The first run. Parts of its result go to the file one tensor at a time, to leave no large copies behind. */
async function check() {
  const begin = performance.now()
  await run()
  const first = (performance.now() - begin) / 1000
  const parts = {}
  const stream = createWriteStream(join(folder, 'result'))
  for (const [name, tensors] of Object.entries(result())) {
    parts[name] = 0
    for (const tensor of tensors) {
      const values = await tensor.data()
      parts[name] += values.length
      stream.write(Buffer.from(values.buffer, values.byteOffset, values.byteLength))
      if (stream.writableNeedDrain) await new Promise((resolve) => stream.once('drain', resolve))
    }
  }
  stream.end()
  await finished(stream)
  forgetPeak()
  return { torch: torch.versions().libtorch, first, import: imported, parts }
}

const isLinux = process.platform === 'linux'

/** On Linux the peak counts anew from the memory of now; elsewhere it stays that since the start. */
function forgetPeak() {
  if (isLinux) writeFileSync('/proc/self/clear_refs', '5')
}

function peakMiB() {
  if (!isLinux) return process.resourceUsage().maxRSS / 1024
  const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kibibytes) / 1024
}

/** Seconds of CPU that the main thread has had, by Linux's scheduler; NaN elsewhere. */
function mainThreadSeconds() {
  if (!isLinux) return Number.NaN
  const account = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8')
  return Number(account.split(' ')[0]) / 1e9
}

async function repeat(count) {
  const times = []
  const before = process.resourceUsage()
  for (let i = 0; i < count; i++) {
    const begin = performance.now()
    await run()
    times.push(performance.now() - begin)
  }
  const after = process.resourceUsage()
  const spent = (key) => after[key] - before[key]
  return {
    times,
    cpu: (spent('userCPUTime') + spent('systemCPUTime')) / 1e6,
    faults: spent('minorPageFault'),
  }
}

/** The monitor's timer costs JavaScript time too, so delay and time are measured one after the other. */
async function loop(count) {
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  monitor.enable()
  await repeat(count)
  monitor.disable()
  const start = performance.eventLoopUtilization()
  const cpu = mainThreadSeconds()
  await repeat(count)
  const mainThreadMs = (1000 * (mainThreadSeconds() - cpu)) / count
  const { active } = performance.eventLoopUtilization(start)
  const delay = (q) => monitor.percentile(q) / 1e6
  return {
    delayMs: { p50: delay(50), p99: delay(99), max: monitor.max / 1e6 },
    activeMs: active / count,
    mainThreadMs,
    trainMs: runTrain ? await mainThreadOf(runTrain) : null,
  }
}

/**
 * Milliseconds of the JavaScript thread a repetition. The first ones settle how many are read together; four whole readings
 * of so many stand for a long run.
 */
async function mainThreadOf(runTrain) {
  const count = 4 * (await runTrain(32))
  const before = mainThreadSeconds()
  await runTrain(count)
  return (1000 * (mainThreadSeconds() - before)) / count
}

async function record(count) {
  const times = []
  for (let i = 0; renew && i < count; i++) {
    renew()
    times.push(...(await repeat(1)).times)
  }
  return { times }
}

async function answer(command) {
  if (command.check) return check()
  if (command.usage) return { peakMiB: peakMiB() }
  if (command.loop) return loop(command.loop)
  if (command.record) return record(command.record)
  await run()
  return repeat(command.run)
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`)
}
process.exit(0)
