// The network beside PyTorch on this machine: the workloads of workloads.js against eager and compiled PyTorch in both
// memory formats, with its own allocator and with one that gives nothing back. Same libtorch, same weights and inputs;
// results are compared before anything is timed; then all processes take turns in rounds.
import { closest } from 'fastest-levenshtein'
import { commaList, positiveInteger, usageError } from '#lib/cli/command.js'
import {
  distances,
  openRing,
  ourVariants,
  pythonOption,
  pytorchVariants,
  torchOfPython,
} from './contestants.js'
import {
  fail,
  machine,
  median,
  prepareFolder,
  printTable,
  quantile,
  readOptions,
  refuseBusyMachine,
  writeJson,
} from './measure.js'
import { ranges, writePlot } from './plot.js'
import { makeWorkload, workloadNames } from './workloads.js'

function workloadName(text) {
  if (workloadNames.includes(text)) return text
  throw usageError(
    `There is no workload '${text}'. Did you mean '${closest(text, workloadNames)}'? There are: ${workloadNames.join(', ')}.`,
  )
}
function precision(text) {
  if (text === 'float32' || text === 'bfloat16') return text
  throw usageError(`There is no precision '${text}'. There are: float32, bfloat16.`)
}

const everyName = [
  ...new Set(['step', 'chain'].flatMap((kind) => pytorchVariants(kind).map(({ name }) => name))),
]
const ownNames = ['ours-eager', 'ours-program', 'ours-program-of-chain']

const values = await readOptions({
  name: 'pytorch',
  examples: [
    '--python path/to/python --out docs/benchmarks',
    '--workload forward --variants ours-program,eager-nhwc-retaining --rounds 20',
    '--workload step --warm   # only compiles, into the cache of TORCHINDUCTOR_CACHE_DIR',
  ],
  options: [
    ['--workload <name>', `one of ${workloadNames.join(', ')}`, workloadName, 'step'],
    pythonOption,
    [
      '--variants <names>',
      `some of ${[...ownNames, ...everyName].join(', ')}; default: all that apply`,
      commaList([...ownNames, ...everyName]),
    ],
    ['--rounds <n>', 'turns of each variant', positiveInteger, 10],
    ['--block <n>', 'repetitions in a row that count, within a turn', positiveInteger, 3],
    ['--threads <n>', 'of every process', positiveInteger, 2],
    [
      '--precision <name>',
      'float32, or bfloat16 for forward passes and steps',
      precision,
      'float32',
    ],
    ['--warm', 'only fill the cache of compiled code, and measure nothing'],
    ['--out <folder>', 'write pytorch-WORKLOAD.json and .svg there'],
  ],
})
const { workload: name, rounds, block, threads, python } = values
if (!values.warm) refuseBusyMachine(values.force)
prepareFolder(values.out)
const version = torchOfPython(python)

const workload = makeWorkload(name, values.precision)
if (values.precision === 'bfloat16' && !['forward', 'step'].includes(workload.kind)) {
  fail(`The workload '${name}' is measured in float32 only.`)
}
// Of gradients in bfloat16 the products' rounding is most. Over seeds the first moments of a step at 192x160 were 0.016 to
// 0.043 from PyTorch's, whose two memory formats were 0.013 to 0.038 apart, and all 0.014 to 0.053 from float32's.
const toleranceOf = (part) =>
  values.precision === 'float32' ? workload.tolerance : part === 'moments' ? 0.1 : 0.02
const chosen = ({ name }) => values.variants?.includes(name) ?? true
const own = ourVariants(workload.ours).filter(chosen)
const others = pytorchVariants(workload.kind).filter(chosen)
if (own.length + others.length === 0) {
  fail(`None of these variants applies to the workload '${name}'; leave --variants out for all.`)
}
const { start } = await openRing(workload, { threads, python })
const contestants = []
let reference = null
for (const variant of values.warm ? others.filter(({ compile }) => compile) : [...own, ...others]) {
  const contestant = start(variant)
  const { result, first, import: imported } = await contestant.check()
  reference ??= result
  const distance = distances(result, reference)
  const largest = Math.max(...Object.values(distance))
  const text = Object.entries(distance).map(([part, value]) => `${part} ${value.toExponential(1)}`)
  console.log(`${variant.name}: differs by ${text.join(', ')}; first call ${first.toFixed(2)} s`)
  if (!Object.entries(distance).every(([part, value]) => value < toleranceOf(part))) {
    fail(`${variant.name} computes something else: there is nothing to compare.`)
  }
  if (values.warm) await contestant.end()
  else contestants.push({ ...contestant, imported, first, largest, times: [], cpu: 0, faults: 0 })
}
if (values.warm) process.exit(0)

for (let round = 0; round < rounds; round++) {
  for (const contestant of contestants) {
    const { times, cpu, faults } = await contestant.ask({ run: block })
    contestant.times.push(...times)
    contestant.cpu += cpu
    contestant.faults += faults
  }
}

const rows = []
for (const { name, ask, times, cpu, faults, imported, first, largest } of contestants) {
  const { peakMiB } = await ask({ usage: true })
  rows.push({
    variant: name,
    median: median(times),
    'quartile 1': quantile(times, 0.25),
    'quartile 3': quantile(times, 0.75),
    'CPU s': cpu / times.length,
    faults: Math.round(faults / times.length),
    'peak MiB': Math.round(peakMiB),
    'import s': imported,
    'first s': first,
    difference: largest.toExponential(1),
  })
}

// The delay is sampled once a millisecond, so that some seconds give thousands.
const loops = []
for (const { name, isOurs, ask, times } of contestants) {
  if (!isOurs) continue
  const { delayMs, activeMs, mainThreadMs, trainMs } = await ask({
    loop: Math.max(2, Math.ceil(8000 / median(times))),
  })
  const recordings = await ask({ record: 5 })
  loops.push({
    variant: name,
    'delay p50': delayMs.p50,
    'delay p99': delayMs.p99,
    'delay max': delayMs.max,
    'active ms': activeMs,
    'CPU ms': mainThreadMs,
    'CPU ms in train': trainMs ?? '-',
    'record ms': recordings.times.length > 0 ? median(recordings.times) : '-',
  })
}
for (const { end } of contestants) await end()

const title = `${workload.title}, ${values.precision}, batch 1, ${threads} threads: milliseconds`
printTable(title, rows)
if (loops.length > 0) {
  printTable(
    'JavaScript: delay of the event loop, what a repetition takes of its thread, and recording; ms',
    loops,
  )
}
const fastest = (list) => list.reduce((a, b) => (b.median < a.median ? b : a))
const isOurs = ({ variant }) => ownNames.includes(variant)
const [mine, theirs] = [rows.filter(isOurs), rows.filter((row) => !isOurs(row))]
const ratios = {}
if (theirs.length > 0 && mine.length > 0) {
  const [best, us] = [fastest(theirs), fastest(mine)]
  ratios[`best PyTorch (${best.variant}) / ours (${us.variant})`] = best.median / us.median
  const plain = theirs.find(({ variant }) => variant === 'eager-nchw')
  if (plain) ratios[`eager PyTorch as written / ours (${us.variant})`] = plain.median / us.median
  const least = Math.min(...theirs.map((row) => row['peak MiB']))
  ratios[`least memory of PyTorch / ours (${us.variant})`] = least / us['peak MiB']
}
const eager = rows.find(({ variant }) => variant === 'ours-eager')
const recording = loops.find(({ variant }) => variant === 'ours-program')?.['record ms']
if (eager && Number.isFinite(recording)) ratios['recording / ours-eager'] = recording / eager.median
for (const [text, ratio] of Object.entries(ratios)) console.log(`${text}: ${ratio.toFixed(2)}`)

const result = {
  benchmark: 'pytorch',
  workload: name,
  title,
  precision: values.precision,
  torch: version,
  rounds,
  block,
  threads,
  rows,
  eventLoop: loops,
  ratios,
  times: Object.fromEntries(contestants.map(({ name, times }) => [name, times])),
}
writeJson(values.json, result)
if (values.out) {
  const suffix = values.precision === 'float32' ? '' : `-${values.precision}`
  const file = `${values.out}/pytorch-${name}${suffix}`
  writeJson(`${file}.json`, result)
  writePlot(`${file}.svg`, ranges(rows), {
    title,
    subtitle: `${machine().cpu}, torch ${version}; bars are medians, lines the quartiles`,
  })
}
process.exit(0)
