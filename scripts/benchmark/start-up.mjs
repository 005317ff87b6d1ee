// From the start of a process to the first values of a network: import, weights, first forward pass. A fresh process
// each time, in turns with PyTorch's, of a tiny network and of the paper's widths.
import { positiveInteger } from '#lib/cli/command.js'
import {
  openRing,
  ourVariants,
  pythonOption,
  pytorchVariants,
  torchOfPython,
} from './contestants.js'
import {
  median,
  printTable,
  quantile,
  readOptions,
  refuseBusyMachine,
  writeJson,
} from './measure.js'
import { makeWorkload } from './workloads.js'

const values = await readOptions({
  name: 'start-up',
  examples: [
    '--python path/to/python',
    '--python path/to/python --json docs/benchmarks/start-up.json',
  ],
  options: [
    pythonOption,
    ['--rounds <n>', 'processes of each', positiveInteger, 7],
    ['--threads <n>', 'of every process', positiveInteger, 2],
  ],
})
const { python, threads, rounds } = values
refuseBusyMachine(values.force)
torchOfPython(python)

const rows = []
for (const name of ['tiny-forward', 'forward']) {
  const workload = makeWorkload(name)
  const { start } = await openRing(workload, { threads, python })
  const variants = [
    ...ourVariants(workload.ours),
    pytorchVariants('forward').find(({ name }) => name === 'eager-nchw'),
  ]
  const seconds = variants.map(() => ({ all: [], import: [], first: [] }))
  // Of the first round files come from the disk, later from memory: it does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const [i, variant] of variants.entries()) {
      const begin = performance.now()
      const contestant = start(variant)
      const answer = await contestant.check()
      const all = (performance.now() - begin) / 1000
      await contestant.end()
      if (round === 0) continue
      seconds[i].all.push(all)
      seconds[i].import.push(answer.import)
      seconds[i].first.push(answer.first)
    }
  }
  rows.push(
    ...variants.map((variant, i) => ({
      'network, variant': `${name}, ${variant.name}`,
      'start to values': median(seconds[i].all),
      'quartile 1': quantile(seconds[i].all, 0.25),
      'quartile 3': quantile(seconds[i].all, 0.75),
      import: median(seconds[i].import),
      'first pass': median(seconds[i].first),
    })),
  )
}
printTable(`Start of a process to the first values, ${threads} threads: seconds`, rows)
writeJson(values.json, { benchmark: 'start-up', rounds, threads, rows })
process.exit(0)
