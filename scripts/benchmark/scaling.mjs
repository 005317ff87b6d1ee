// How the cost grows with pixels, channels, images a batch and evaluations a chain: forward pass, training step and
// chain as recorded programs of a middling network. All points take turns, and a power law is fitted to each series.
import { join } from 'node:path'
import * as torch from 'landmark-diffusion/torch'
import { positiveInteger } from '#lib/cli/command.js'
import {
  machine,
  median,
  prepareFolder,
  printTable,
  quantile,
  readOptions,
  refuseBusyMachine,
  writeJson,
} from './measure.js'
import { growth, writePlot } from './plot.js'
import { repeatable } from './repeatable.js'
import { makeCase } from './workloads.js'

const values = await readOptions({
  name: 'scaling',
  examples: ['', '--out docs/benchmarks'],
  options: [
    ['--rounds <n>', 'turns of each point', positiveInteger, 7],
    ['--threads <n>', 'of this process', positiveInteger, 2],
    ['--out <folder>', 'write scaling.json and scaling.svg there'],
  ],
})
refuseBusyMachine(values.force)
prepareFolder(values.out)
const { rounds, threads } = values
torch.setNumThreads(threads)

/** A network of three levels; `side` pixels square. */
function options({ kind, side = 64, width = 16, attention = [], batch = 1, evaluations = 4 }) {
  const channels = [width, 2 * width, 4 * width]
  const set = [
    `model.encoderChannels=${JSON.stringify(channels)}`,
    `model.decoderChannels=${JSON.stringify(channels.toReversed())}`,
    `model.attention=${JSON.stringify(attention)}`,
    'model.middleAttention=false',
    'model.resBlocks=1',
    'model.groups=8',
  ]
  return { kind, width: side, height: side, set, batch, evaluations }
}

const sides = [64, 96, 128, 192, 256]
const axes = {
  pixels: sides.map((side) => [side * side, { side }]),
  'pixels, attention at 2 and 4': sides
    .slice(0, 4)
    .map((side) => [side * side, { side, attention: [2, 4] }]),
  'channels at full resolution': [8, 16, 32, 64, 128].map((width) => [width, { width }]),
  'images a batch': [1, 2, 4, 8, 16].map((batch) => [batch, { batch }]),
}
const evaluations = [1, 2, 4, 8, 16].map((count) => [count, { evaluations: count }])
const names = { forward: 'forward pass', step: 'training step', chain: 'reverse chain' }
const series = [
  ...Object.entries(axes).flatMap(([axis, points]) =>
    ['forward', 'step'].map((kind) => ({ axis, kind, points })),
  ),
  { axis: 'evaluations a chain (T)', kind: 'chain', points: evaluations },
]

const points = []
for (const { axis, kind, points: places } of series) {
  for (const [x, place] of places) {
    const { description, tensors } = makeCase(options({ kind, ...place }))
    const { run } = await repeatable(description, tensors, 'program')
    await run()
    const begin = performance.now()
    await run()
    // Of what takes less than some milliseconds, several together.
    const block = Math.ceil(20 / (performance.now() - begin))
    points.push({ axis, kind, x, run, block, times: [] })
  }
}
for (let round = 0; round < rounds; round++) {
  for (const { run, block, times } of points) {
    await run()
    const begin = performance.now()
    for (let i = 0; i < block; i++) await run()
    times.push((performance.now() - begin) / block)
  }
}

const measured = points.map(({ axis, kind, x, times }) => ({
  axis,
  what: names[kind],
  x,
  median: median(times),
  'quartile 1': quantile(times, 0.25),
  'quartile 3': quantile(times, 0.75),
  times,
}))

/** The slope of a straight line through the logarithms: the b of a x^b. */
function exponent(list) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [xs, ys] = ['x', 'median'].map((key) => list.map((point) => Math.log(point[key])))
  const [mx, my] = [mean(xs), mean(ys)]
  const moment = (a, b, ma, mb) => mean(a.map((value, i) => (value - ma) * (b[i] - mb)))
  return moment(xs, ys, mx, my) / moment(xs, xs, mx, mx)
}

const fits = series.map(({ axis, kind }) => {
  const own = measured.filter((point) => point.axis === axis && point.what === names[kind])
  const [least, most] = [own[0], own.at(-1)]
  return {
    'cost of': names[kind],
    against: axis,
    from: `${least.x}: ${least.median.toFixed(1)} ms`,
    to: `${most.x}: ${most.median.toFixed(1)} ms`,
    exponent: exponent(own),
    'of the last two': exponent(own.slice(-2)),
  }
})
const title = `Cost against size, fp32, ${threads} threads`
printTable(title, fits)

const result = {
  benchmark: 'scaling',
  title,
  precision: 'float32',
  rounds,
  threads,
  fits,
  measured,
}
writeJson(values.json, result)
if (values.out) {
  writeJson(join(values.out, 'scaling.json'), result)
  writePlot(join(values.out, 'scaling.svg'), growth(measured, fits), {
    title,
    subtitle: `${machine().cpu}, libtorch ${machine().libtorch}; medians of ${rounds}; numbers are exponents over all points`,
  })
}
process.exit(0)
