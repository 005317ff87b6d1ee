// The U-Net beside PyTorch on this machine: forward pass, training step, or a chain of forward passes, against eager and
// compiled PyTorch in both memory formats, with its own allocator and with one that gives nothing back. Same libtorch
// version, same weights and inputs; outputs are compared before anything is timed; then all take turns in rounds.
//   landmark-diffusion benchmark pytorch --workload step --python path/to/python --rounds 10 --out docs/benchmarks
import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as torch from 'landmark-diffusion/torch'
import { machine, median, printTable, quantile, refuseBusyMachine, writeJson } from './measure.js'
import { rangesSvg } from './plot.js'
import { relativeDistance, workloads } from './workloads.js'

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    /** Folder for the JSON file and the plot, both named after the workload. */
    out: { type: 'string' },
    force: { type: 'boolean' },
    python: { type: 'string', default: process.env.LANDMARK_DIFFUSION_PYTHON ?? 'python3' },
    workload: { type: 'string', default: 'step' },
    /** Names, separated by commas; all of the table below by default. */
    variants: { type: 'string' },
    rounds: { type: 'string', default: '10' },
    /** Repetitions in a row, within a round. */
    block: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    /** Compiles what is to be compiled, into the cache that TORCHINDUCTOR_CACHE_DIR names, and measures nothing. */
    warm: { type: 'boolean' },
  },
})
if (!values.warm) refuseBusyMachine(values.force)

// What performance-minded users of PyTorch set: memory that was freed stays with the process.
const retaining = {
  GLIBC_TUNABLES:
    'glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864',
}
const layouts = ['contiguous', 'channels_last']
const compiled = {
  default: {},
  'max-autotune': {},
  'no-reindexing': { TORCHINDUCTOR_LOOP_REINDEXING_AFTER_FUSION: '0' },
}
const all = layouts.flatMap((layout) => {
  const name = layout === 'contiguous' ? 'nchw' : 'nhwc'
  const eager = { layout, compile: null }
  return [
    { name: `eager-${name}`, ...eager, env: {} },
    { name: `eager-${name}-retaining`, ...eager, env: retaining },
    ...Object.entries(compiled).map(([mode, env]) => ({
      name: `compile-${name}-${mode}`,
      layout,
      compile: mode === 'max-autotune' ? mode : 'default',
      env: { ...retaining, ...env },
    })),
  ]
})
const chosen = values.variants?.split(',') ?? all.map(({ name }) => name)
const unknown = chosen.filter((name) => !all.some((variant) => variant.name === name))
const makeWorkload = workloads[values.workload]
if (unknown.length > 0 || makeWorkload === undefined) {
  console.error(
    `--variants takes ${all.map(({ name }) => name).join(', ')}; --workload takes ${Object.keys(workloads).join(', ')}.`,
  )
  process.exit(2)
}

const threads = Number(values.threads)
torch.setNumThreads(threads)
const workload = await makeWorkload()
const root = mkdtempSync(join(tmpdir(), 'beside-pytorch-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))
await torch.save(join(root, 'case.safetensors'), workload.tensors)

const script = fileURLToPath(new URL('./pytorch_variant.py', import.meta.url))

/** A PyTorch process, asked by one JSON line at a time. */
function start({ name, env, ...variant }) {
  const folder = mkdtempSync(join(root, `${name}-`))
  copyFileSync(join(root, 'case.safetensors'), join(folder, 'case.safetensors'))
  writeFileSync(
    join(folder, 'case.json'),
    JSON.stringify({ ...workload.description, variant, threads }),
  )
  const child = spawn(values.python, [script, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads), ...env },
  })
  child.on('error', (error) => {
    console.error(
      `pytorch needs a Python with torch and safetensors: ${values.python}: ${error.message}`,
    )
    process.exit(1)
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (command) => {
    child.stdin.write(`${JSON.stringify(command)}\n`)
    const { value, done } = await lines.next()
    if (done) throw new Error(`the PyTorch process ${name} ended early`)
    return JSON.parse(value)
  }
  return { name, folder, ask, end: () => child.stdin.end() }
}

const usage = () => {
  const { maxRSS, minorPageFault, userCPUTime, systemCPUTime } = process.resourceUsage()
  return {
    peakMiB: maxRSS / 1024,
    faults: minorPageFault,
    cpu: (userCPUTime + systemCPUTime) / 1e6,
  }
}

/** Our variants answer the same questions. */
function ours(name, run) {
  return {
    name,
    end() {},
    async ask(command) {
      if (command.usage) return usage()
      const times = []
      const before = usage()
      for (let i = 0; i < command.run; i++) {
        const begin = performance.now()
        await run()
        times.push(performance.now() - begin)
      }
      const after = usage()
      return { times, cpu: after.cpu - before.cpu, faults: after.faults - before.faults }
    },
  }
}

const own = []
for (const [name, run] of Object.entries(workload.runs)) {
  const begin = performance.now()
  await run()
  own.push({ ...ours(name, run), first: (performance.now() - begin) / 1000 })
}
const reference = await workload.result()

const others = []
let version = ''
for (const variant of all.filter(({ name }) => chosen.includes(name))) {
  const process = start(variant)
  const { torch: theirVersion, first, import: imported } = await process.ask({ check: true })
  version = theirVersion
  const { result } = await torch.load(join(process.folder, 'theirs.safetensors'))
  const distance = await relativeDistance(reference, result)
  console.log(
    `${variant.name}: relative difference ${distance.toExponential(1)}, first call ${first.toFixed(2)} s`,
  )
  if (!(distance < 1e-4))
    throw new Error(`${variant.name} computes something else: nothing to compare`)
  if (values.warm) process.end()
  else others.push({ ...process, first, imported, distance })
}
if (values.warm) process.exit(0)

const contestants = [...own, ...others]
const block = Number(values.block)
for (const contestant of contestants) await contestant.ask({ run: block })
const times = Object.fromEntries(contestants.map(({ name }) => [name, []]))
const spent = Object.fromEntries(contestants.map(({ name }) => [name, { cpu: 0, faults: 0 }]))
for (let round = 0; round < Number(values.rounds); round++) {
  for (const { name, ask } of contestants) {
    const { times: taken, cpu, faults } = await ask({ run: block })
    times[name].push(...taken)
    spent[name].cpu += cpu
    spent[name].faults += faults
  }
}

const rows = []
for (const { name, ask, first, distance = 0 } of contestants) {
  const { peakMiB } = await ask({ usage: true })
  const list = times[name]
  rows.push({
    variant: name,
    median: median(list),
    'quartile 1': quantile(list, 0.25),
    'quartile 3': quantile(list, 0.75),
    'CPU s': spent[name].cpu / list.length,
    faults: Math.round(spent[name].faults / list.length),
    'peak MiB': Math.round(peakMiB),
    'first s': first,
    difference: distance,
  })
}
for (const { end } of others) end()

const title = `${workload.title}, fp32, batch 1, ${threads} threads: milliseconds`
printTable(title, rows)
const bestOf = (list) => list.reduce((a, b) => (b.median < a.median ? b : a))
const isOurs = ({ variant }) => own.some(({ name }) => name === variant)
const theirs = rows.filter((row) => !isOurs(row))
const ratios = {}
if (theirs.length > 0) {
  const [best, mine] = [bestOf(theirs), bestOf(rows.filter(isOurs))]
  ratios[`best PyTorch (${best.variant}) / ours (${mine.variant})`] = best.median / mine.median
  const plain = theirs.find(({ variant }) => variant === 'eager-nchw')
  if (plain)
    ratios[`eager PyTorch as written / ours (${mine.variant})`] = plain.median / mine.median
  for (const [text, ratio] of Object.entries(ratios)) console.log(`${text}: ${ratio.toFixed(2)}`)
}
const result = {
  benchmark: 'pytorch',
  workload: values.workload,
  title,
  torch: version,
  rounds: Number(values.rounds),
  block,
  threads,
  rows,
  ratios,
  times,
}
writeJson(values.json, result)
if (values.out) {
  const file = join(values.out, `pytorch-${values.workload}`)
  writeJson(`${file}.json`, result)
  writeFileSync(`${file}.svg`, rangesSvg(title, `${machine().cpu}, torch ${version}`, rows))
}
process.exit(0)
