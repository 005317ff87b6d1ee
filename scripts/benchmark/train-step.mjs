// One training step of the U-Net beside eager PyTorch: same libtorch version, same weights, inputs and
// noise; the losses are compared before anything is timed; then blocks of steps alternate (A B A B ...).
//   landmark-diffusion benchmark train-step --python path/to/python --rounds 12
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NoiseSchedule, UNet, X0Objective } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import { median, printTable, quantile, refuseBusyMachine, writeJson } from './measure.js'

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    force: { type: 'boolean' },
    python: { type: 'string', default: process.env.LANDMARK_DIFFUSION_PYTHON ?? 'python3' },
    width: { type: 'string', default: '160' },
    height: { type: 'string', default: '192' },
    batch: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '12' },
    threads: { type: 'string', default: '2' },
  },
})
refuseBusyMachine(values.force)

const [width, height, batch, rounds, threads] = [
  values.width,
  values.height,
  values.batch,
  values.rounds,
  values.threads,
].map(Number)
const landmarks = 19
const stepsPerBlock = 3
const lr = 1e-4

torch.setNumThreads(threads)
torch.manualSeed(0)
const model = new UNet({ landmarks, attention: [8, 16], dropout: 0 })
const schedule = new NoiseSchedule({ timesteps: 200, betaStart: 1e-4, betaEnd: 0.02 })
const objective = new X0Objective(schedule, {})
const image = torch.rand([batch, 1, height, width]).mul(2).sub(1)
const target = torch.randint(0, width * height, [batch, landmarks])
const mask = torch.ones([batch, landmarks])
const t = torch.randint(0, 200, [batch])
const noise = torch.randn([batch, landmarks, height, width])

const folder = mkdtempSync(join(tmpdir(), 'train-step-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const weights = Object.fromEntries(
  [...model.namedParameters()].map(([name, parameter]) => [`weights.${name}`, parameter]),
)
const file = join(folder, 'step.safetensors')
await torch.save(file, { ...weights, image, target, mask, t, noise })
writeFileSync(
  join(folder, 'step.json'),
  JSON.stringify({ landmarks, attention: [8, 16], threads, lr }),
)

const optimizer = new torch.optim.AdamW(model.parameters(), { lr, weightDecay: 1e-4 })

async function ours(steps) {
  const times = []
  let loss
  for (let i = 0; i < steps; i++) {
    const start = performance.now()
    loss = await torch.scopeAsync(async () => {
      const result = objective.loss(model, { image, target, mask }, { t, noise })
      optimizer.zeroGrad()
      result.loss.backward()
      optimizer.step()
      const value = await result.loss.item()
      await torch.synchronize()
      return value
    })
    times.push(performance.now() - start)
  }
  return { loss, times }
}

const script = fileURLToPath(new URL('./train_step.py', import.meta.url))
const python = spawn(values.python, [script, folder], {
  stdio: ['pipe', 'pipe', 'inherit'],
  env: { ...process.env, OMP_NUM_THREADS: String(threads) },
})
python.on('error', (error) => {
  console.error(
    `train-step needs a Python with torch and safetensors: ${values.python}: ${error.message}`,
  )
  process.exit(1)
})
const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]()

async function theirs(steps) {
  python.stdin.write(`${steps}\n`)
  const { value, done } = await lines.next()
  if (done) throw new Error('the PyTorch process ended early')
  return JSON.parse(value)
}

const hello = await theirs(0)
const first = { ours: await ours(1), theirs: await theirs(1) }
const difference = Math.abs(first.ours.loss - first.theirs.loss) / Math.abs(first.theirs.loss)
console.log(
  `first loss: ours ${first.ours.loss.toFixed(6)}, PyTorch ${hello.torch} ${first.theirs.loss.toFixed(6)}`,
)
if (!(difference < 1e-4)) throw new Error(`the losses differ by ${difference}: nothing to compare`)

await ours(stepsPerBlock)
await theirs(stepsPerBlock)
const times = { ours: [], theirs: [] }
const ratios = []
for (let round = 0; round < rounds; round++) {
  const a = (await ours(stepsPerBlock)).times
  const b = (await theirs(stepsPerBlock)).times
  times.ours.push(...a)
  times.theirs.push(...b)
  ratios.push(median(b) / median(a))
}
python.stdin.end()

const row = (name, list) => ({
  name,
  median: median(list),
  p10: quantile(list, 0.1),
  p90: quantile(list, 0.9),
})
printTable(`Milliseconds a step, fp32, batch ${batch}, ${height}x${width}, ${threads} threads`, [
  row('landmark-diffusion', times.ours),
  row(`PyTorch ${hello.torch} eager`, times.theirs),
])
console.log(
  `speed relative to PyTorch: median of ${rounds} interleaved rounds ${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)})`,
)
writeJson(values.json, {
  benchmark: 'train-step',
  width,
  height,
  batch,
  threads,
  times,
  ratios,
  torch: hello.torch,
})
