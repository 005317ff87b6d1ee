// Whether training in bfloat16 learns as training in float32 does: loss curves of a preset on synthetic cephalograms, from
// several seeds, to show how much chance alone does. Not a measurement of time.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { synthesize, train } from 'landmark-diffusion'
import { commaList, positiveInteger } from '#lib/cli/command.js'
import { machine, prepareFolder, printTable, readOptions, writeJson } from './measure.js'
import { curves, writePlot } from './plot.js'

const precisions = ['float32', 'bfloat16']
const windows = 10

const values = await readOptions({
  name: 'precision',
  examples: [
    '--out docs/benchmarks',
    '--folder runs/precision --seeds 42   # in parts: what is done stays',
  ],
  options: [
    ['--preset <name>', 'what trains', 'small'],
    ['--steps <n>', 'of each run', positiveInteger, 500],
    ['--images <n>', 'of the data set, of which 3/8 are trained on', positiveInteger, 80],
    ['--precisions <names>', 'float32, bfloat16 or both', commaList(precisions), precisions],
    ['--seeds <list>', 'with commas between', '42,43'],
    ['--folder <folder>', 'keep data and runs there, and go on with what is there'],
    ['--out <folder>', 'write precision.json and precision.svg there'],
  ],
})
prepareFolder(values.out)
prepareFolder(values.folder)
const { preset, steps, images } = values
const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'precision-'))
process.on('exit', () => values.folder ?? rmSync(folder, { recursive: true, force: true }))

const data = join(folder, 'data')
await synthesize(data, { count: images, size: { width: 484, height: 600 }, seed: 1 })
const runs = values.seeds.split(',').flatMap((seed) =>
  values.precisions.map((precision) => ({
    run: `${precision}, seed ${seed}`,
    precision,
    seed: Number(seed),
    out: join(folder, `${precision}-${seed}`),
  })),
)
for (const { run, precision, seed, out } of runs) {
  const set = [
    `train.steps=${steps}`,
    `train.precision=${precision}`,
    `train.checkpointEvery=${Math.ceil(steps / 10)}`,
    'train.logEvery=1',
  ]
  for await (const event of train({ preset, data, out, set, seed, resume: existsSync(out) })) {
    if (event.type !== 'step' || event.step % 50 > 0) continue
    console.log(`${run}: step ${event.step} of ${steps}, loss ${event.loss.toFixed(3)}`)
  }
}

const losses = runs.map(({ run, out }) => {
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const list = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'train')
  return { run, list: list.map(({ loss }) => loss) }
})
const width = Math.ceil(steps / windows)
const smooth = losses.flatMap(({ run, list }) =>
  Array.from({ length: Math.floor(list.length / width) }, (_, w) => {
    const part = list.slice(w * width, (w + 1) * width)
    return {
      run,
      step: (w + 1) * width,
      middle: (w + 0.5) * width,
      loss: part.reduce((sum, x) => sum + x, 0) / part.length,
    }
  }),
)
const rows = Array.from({ length: windows }, (_, w) => {
  const step = (w + 1) * width
  const own = Object.fromEntries(
    losses.map(({ run }) => [
      run,
      smooth.find((point) => point.run === run && point.step === step)?.loss ?? '-',
    ]),
  )
  return { 'mean loss of the steps up to': String(step), ...own }
})
const title = `Training ${preset} in float32 and in bfloat16: loss`
printTable(title, rows)
const rounded = losses.map(({ run, list }) => ({
  run,
  list: list.map((loss) => Number(loss.toFixed(4))),
}))
const result = { benchmark: 'precision', title, preset, steps, images, rows, losses: rounded }
writeJson(values.json, result)
if (values.out) {
  writeJson(join(values.out, 'precision.json'), result)
  writePlot(join(values.out, 'precision.svg'), curves(losses, smooth), {
    title,
    subtitle: `${machine().cpu}, libtorch ${machine().libtorch}; dots are steps, lines means of ${width}`,
  })
}
process.exit(0)
