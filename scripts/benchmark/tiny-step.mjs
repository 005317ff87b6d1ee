// A training step of a tiny network (4 -> 8 -> 4 channels, 16x16, batch 1), where kernels cost next to nothing and all
// is overhead: op by op, as a replayed program, and by eager PyTorch; and what recording and JavaScript cost.
//   landmark-diffusion benchmark tiny-step --python path/to/python
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as torch from 'landmark-diffusion/torch'
import { positiveInteger } from '#lib/cli/command.js'
import { pythonOption, torchOfPython } from './contestants.js'
import {
  median,
  printTable,
  quantile,
  readOptions,
  refuseBusyMachine,
  writeJson,
} from './measure.js'

const values = await readOptions({
  name: 'tiny-step',
  examples: [
    '--python path/to/python',
    '--python path/to/python --json docs/benchmarks/tiny-step.json',
  ],
  options: [pythonOption, ['--rounds <n>', 'turns of each', positiveInteger, 15]],
})
refuseBusyMachine(values.force)
torchOfPython(values.python)
const { rounds } = values
const stepsPerBlock = 400

torch.setNumThreads(1)
torch.manualSeed(0)
const { nn, optim } = torch
const fresh = () =>
  new nn.Sequential(
    new nn.Conv2d(4, 8, 3, { padding: 1 }),
    new nn.GroupNorm(2, 8),
    new nn.SiLU(),
    new nn.Conv2d(8, 4, 3, { padding: 1 }),
  )
const first = fresh()
const x = torch.randn([1, 4, 16, 16])
const y = torch.randn([1, 4, 16, 16])

function stepper() {
  const model = fresh()
  model.loadStateDict(first.stateDict())
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3, weightDecay: 1e-4 })
  return (input, wanted) => {
    const loss = torch.mseLoss(model.forward(input), wanted)
    loss.backward()
    optimizer.step()
    optimizer.zeroGrad()
    return loss
  }
}

const plain = stepper()
const eager = async () => torch.scope(() => plain(x, y))
const recorded = torch.program(stepper())
const replay = () => recorded(x, y)

/** Microseconds a step, and the last loss. */
async function block(step, steps) {
  let last = null
  const start = performance.now()
  for (let i = 0; i < steps; i++) {
    last?.dispose()
    last = await step()
  }
  const loss = await last.item()
  const us = (1000 * (performance.now() - start)) / steps
  last.dispose()
  return { us, loss }
}

const folder = mkdtempSync(join(tmpdir(), 'tiny-step-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'step.pt')
const named = Object.entries(first.stateDict()).map(([name, value]) => [`w.${name}`, value])
await torch.savePickle(file, { ...Object.fromEntries(named), x, y })

const script = fileURLToPath(new URL('./tiny_step.py', import.meta.url))
const python = spawn(values.python, [script, file], {
  stdio: ['pipe', 'pipe', 'inherit'],
  env: { ...process.env, OMP_NUM_THREADS: '1' },
})
const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]()
async function theirs(steps) {
  python.stdin.write(`${steps}\n`)
  const { value, done } = await lines.next()
  if (done) throw new Error('the PyTorch process ended early')
  return JSON.parse(value)
}

/** Microseconds of one call, until its result is there. */
async function timed(call) {
  const start = performance.now()
  const result = await call()
  await torch.synchronize()
  result.dispose()
  return 1000 * (performance.now() - start)
}

// The shapes are known from here on, so that recording is compared with a step and not with their discovery.
const warm = await block(eager, 20)
const [ours, reference] = [await block(replay, 20), await theirs(20)]
for (const { loss } of [warm, ours]) {
  const difference = Math.abs(loss - reference.loss) / reference.loss
  if (!(difference < 1e-4)) throw new Error(`after 20 steps the losses differ by ${difference}`)
}

// The first recording of a process sets up the recorder; these are later ones.
const recordings = []
const steps = []
for (let i = 0; i < 15; i++) {
  const program = torch.program(stepper())
  steps.push(await timed(eager))
  recordings.push(await timed(() => program(x, y)))
  program.dispose()
}

const us = { replay: [], eager: [], pytorch: [] }
for (let round = 0; round < rounds; round++) {
  us.replay.push((await block(replay, stepsPerBlock)).us)
  us.pytorch.push((await theirs(stepsPerBlock)).us)
  us.eager.push((await block(eager, stepsPerBlock)).us)
}
python.stdin.end()

const memoryOf = async (step) => {
  torch.resetPeakMemory()
  await block(step, 50)
  return torch.memory().devices.cpu.peakBytes
}
const peak = { replay: await memoryOf(replay), eager: await memoryOf(eager) }

const calls = []
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const end = performance.now() + 3000
while (performance.now() < end) {
  const start = performance.now()
  const call = replay()
  calls.push(1000 * (performance.now() - start))
  const result = await call
  result.dispose()
  if (calls.length % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
}
delay.disable()

const row = (name, list) => ({
  name,
  median: median(list),
  p25: quantile(list, 0.25),
  p75: quantile(list, 0.75),
})
printTable('Microseconds a step, fp32, one thread', [
  row('replayed program', us.replay),
  row('op by op', us.eager),
  row(`PyTorch ${reference.torch} eager`, us.pytorch),
])
const stats = recorded.stats()
const native = (1000 * stats.replayMilliseconds) / stats.replays
const ratios = us.pytorch.map((value, i) => value / us.replay[i])
const bounds = {
  ratioToPyTorch: median(ratios),
  recordingUs: median(recordings),
  awaitedEagerStepUs: median(steps),
  nativeUs: native,
  nativeUsPerInstruction: native / stats.instructions,
  instructions: stats.instructions,
  javascriptUsPerCall: median(calls),
  javascriptUsPerCallP99: quantile(calls, 0.99),
  eventLoopP99Ms: delay.percentile(99) / 1e6,
  peakBytesReplay: peak.replay,
  peakBytesEager: peak.eager,
}
for (const [name, value] of Object.entries(bounds)) {
  console.log(`${name.padEnd(24)} ${Number.isInteger(value) ? value : value.toFixed(3)}`)
}
writeJson(values.json, { benchmark: 'tiny-step', us, ...bounds })
