// What an op costs on the JavaScript thread when its shape is known: the time of the call alone, in
// batches of 500 with the executor drained between them, medians of many batches.
import { parseArgs } from 'node:util'
import * as torch from 'landmark-diffusion/torch'
import { printTable, quantile, refuseBusyMachine, writeJson } from './measure.js'

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    batches: { type: 'string', default: '400' },
    force: { type: 'boolean' },
  },
})
refuseBusyMachine(values.force)

const x = torch.randn([1, 4, 4, 4])
const y = torch.randn([1, 4, 4, 4])
const weight = torch.randn([4, 4, 3, 3])
const bias = torch.randn([4])
const leaf = torch.randn([1, 4, 4, 4], { requiresGrad: true })

const ops = {
  'x.neg()': () => x.neg(),
  'x.add(y)': () => x.add(y),
  'x.mul(2)': () => x.mul(2),
  'leaf.mul(y), recording gradients': () => leaf.mul(y),
  'conv2d(x, weight, bias, { padding: 1 })': () => torch.conv2d(x, weight, bias, { padding: 1 }),
  'groupNorm(x, 2)': () => torch.groupNorm(x, 2),
  'x.narrow(1, 1, 2), shape inferred each time': () => x.narrow(1, 1, 2),
}

const calls = 500
const rows = []
for (const [op, run] of Object.entries(ops)) {
  const times = []
  for (let batch = 0; batch < Number(values.batches); batch++) {
    torch.scope(() => {
      const start = process.hrtime.bigint()
      for (let i = 0; i < calls; i++) run()
      times.push(Number(process.hrtime.bigint() - start) / calls / 1000)
    })
    await torch.synchronize()
  }
  rows.push({
    op,
    median: quantile(times, 0.5),
    p10: quantile(times, 0.1),
    p90: quantile(times, 0.9),
  })
}
printTable(
  'Microseconds on the JavaScript thread per op',
  rows.map(({ op, ...us }) => ({ op, ...us })),
)
writeJson(values.json, { benchmark: 'op-cost', unit: 'microseconds', rows })
