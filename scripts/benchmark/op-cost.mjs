// What an op costs on the JavaScript thread when its shape is known, through the public typed functions. Method: the
// time of the call alone, in batches of 500 with the executor drained between them; the ops take turns, so that
// whatever else the machine does meets all of them alike; median and quartiles over many batches. Beside it the bytes
// that an op leaves on the heap, without collections in between, and those beyond the tensors that it returns. An
// object has 24 bytes at least. Literals that the caller writes in the call are the caller's: each is there twice,
// with the literal made once.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as torch from 'landmark-diffusion/torch'
import { positiveInteger } from '#lib/cli/command.js'
import { printTable, quantile, readOptions, refuseBusyMachine, writeJson } from './measure.js'

const values = await readOptions({
  name: 'op-cost',
  examples: ['', '--json docs/benchmarks/op-cost.json'],
  options: [['--batches <n>', 'of 500 calls of each operator', positiveInteger, 400]],
})
refuseBusyMachine(values.force)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

const x = torch.randn([1, 4, 4, 4])
const y = torch.randn([1, 4, 4, 4])
const weight = torch.randn([4, 4, 3, 3])
const bias = torch.randn([4])
const leaf = torch.randn([1, 4, 4, 4], { requiresGrad: true })
const padding = { padding: 1 }
const both = [x, y]
let turn = 0

const ops = {
  'x.neg()': () => x.neg(),
  'x.add(y)': () => x.add(y),
  'x.mul(2)': () => x.mul(2),
  'x.add_(1)': () => x.add_(1),
  'leaf.mul(y), recording gradients': () => leaf.mul(y),
  'conv2d(x, weight, bias, { padding: 1 })': () => torch.conv2d(x, weight, bias, { padding: 1 }),
  'conv2d(x, weight, bias, options)': () => torch.conv2d(x, weight, bias, padding),
  'groupNorm(x, 2)': () => torch.groupNorm(x, 2),
  'cat([x, y], 1)': () => torch.cat([x, y], 1),
  'cat(list, 1)': () => torch.cat(both, 1),
  'x.sum(1)': () => x.sum(1),
  'x.sum([1], { keepdim: true })': () => x.sum([1], { keepdim: true }),
  'x.narrow(1, start, 1), bounds varying': () => x.narrow(1, turn++ % 3, 1),
  'x.slice(1, start, 4), bounds varying': () => x.slice(1, turn++ % 3, 4),
}

const calls = 500
const times = Object.fromEntries(Object.keys(ops).map((op) => [op, []]))
for (let batch = 0; batch < values.batches; batch++) {
  for (const [op, run] of Object.entries(ops)) {
    torch.scope(() => {
      const start = process.hrtime.bigint()
      for (let i = 0; i < calls; i++) run()
      times[op].push(Number(process.hrtime.bigint() - start) / calls / 1000)
    })
    await torch.synchronize()
  }
}

/** Bytes allocated by a call, the smallest of several batches. */
async function bytesOf(run) {
  const found = []
  for (let batch = 0; batch < 20; batch++) {
    collect()
    const made = new Array(calls).fill(null)
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < calls; i++) made[i] = run()
    found.push((process.memoryUsage().heapUsed - before) / calls)
    for (const tensor of new Set(made)) if (tensor !== x) tensor.dispose()
    await torch.synchronize()
  }
  return quantile(found, 0.25)
}

// A handle without an op, for which the class is wanted as the operators make it.
const { Tensor } = await import('../../dist/torch/tensor.js')
const { takeId } = await import('../../dist/torch/handles.js')
const tensorBytes = await bytesOf(() => new Tensor(takeId(), x.signature))

const rows = []
for (const [op, run] of Object.entries(ops)) {
  const bytes = await bytesOf(run)
  rows.push({
    op,
    median: quantile(times[op], 0.5),
    'quartile 1': quantile(times[op], 0.25),
    'quartile 3': quantile(times[op], 0.75),
    bytes,
    'beyond the tensor': op === 'x.add_(1)' ? bytes : bytes - tensorBytes,
  })
}
printTable('Microseconds on the JavaScript thread per op, and bytes on its heap', rows)
console.log(`A tensor by itself: ${tensorBytes.toFixed(1)} bytes`)
writeJson(values.json, { benchmark: 'op-cost', unit: 'microseconds', tensorBytes, rows })
