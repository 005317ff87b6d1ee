// The measurements of scripts/gpu-check: node scripts/gpu/measure.mjs STAGE --device cuda:0 --figures FILE [--tiny].
// Each figure is a line of JSON, written as soon as it is known. Times are medians over rounds of calls between two
// waits for the device; where there are two sides, their rounds alternate.
import { spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NoiseSchedule, UNet, X0Objective } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import { Predictor } from '../../dist/inference/predictor.js'
import { loadConfig } from '../../dist/training/config.js'
import { checks } from './checks.mjs'
import { kernels } from './kernels.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'cuda:0' },
    figures: { type: 'string' },
    tiny: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.LANDMARK_DIFFUSION_PYTHON ?? 'python3' },
  },
})
const { device, tiny } = values
const [stage = ''] = positionals
const rounds = tiny ? 3 : 10

function figure(name, found) {
  const line = JSON.stringify({ name, device, tiny, ...found })
  console.log(line)
  if (values.figures) appendFileSync(values.figures, `${line}\n`)
}

const sorted = (list) => [...list].sort((a, b) => a - b)
const quantile = (list, q) => sorted(list)[Math.min(list.length - 1, Math.floor(q * list.length))]
const summary = (times) => ({
  ms: quantile(times, 0.5),
  p10: quantile(times, 0.1),
  p90: quantile(times, 0.9),
})

/** Milliseconds a call, of `calls` calls between two waits. */
async function timed(work, calls) {
  await torch.synchronize(device)
  const begun = performance.now()
  for (let i = 0; i < calls; i++) await work()
  await torch.synchronize(device)
  return (performance.now() - begun) / calls
}

/** Rounds of each of the sides in turn, after a warm-up: { side: times }. */
async function interleaved(sides, calls) {
  const times = {}
  for (const [name, work] of Object.entries(sides)) {
    for (let i = 0; i < 4; i++) await work()
    await torch.synchronize(device)
    times[name] = []
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(sides)) times[name].push(await timed(work, calls))
  }
  return times
}

const inScope = (work) => () => torch.scope(() => void work())

async function runChecks() {
  let failed = 0
  for (const { name, run } of checks) {
    try {
      await torch.scopeAsync(() => run(device))
      figure('check', { check: name, ok: true })
    } catch (error) {
      failed++
      figure('check', {
        check: name,
        ok: false,
        error: String(error?.stack ?? error).slice(0, 1000),
      })
    }
  }
  if (failed > 0) throw new Error(`${failed} of ${checks.length} checks failed`)
}

async function attention() {
  const cases = tiny
    ? [[2, 64, 8]]
    : [
        [2, 32_000, 64],
        [1, 32_000, 128],
        [2, 32_000, 32],
        [2, 8000, 128],
      ]
  const before = await torch.cuda.options()
  for (const [heads, tokens, channels] of cases) {
    const make = () => torch.randn([1, heads, tokens, channels], { device }).to('bfloat16')
    const [q, k, v] = [make(), make(), make()]
    const operations = 4 * heads * tokens * tokens * channels
    const chosen = torch.cuda.attentionBackend(q, k, v)
    for (const backend of ['cudnn', 'flash', 'efficient']) {
      torch.cuda.setOptions({ attention: [backend] })
      try {
        const forward = inScope(() => torch.noGrad(() => torch.scaledDotProductAttention(q, k, v)))
        const backward = inScope(() => {
          const inputs = [q, k, v].map((each) => each.detach().requiresGrad_())
          const y = torch.scaledDotProductAttention(...inputs)
          torch.grad([y], inputs, { gradOutputs: [y.detach()] })
        })
        const times = await interleaved({ forward, 'with backward': backward }, tiny ? 1 : 5)
        for (const [what, list] of Object.entries(times)) {
          const work = operations * (what === 'forward' ? 1 : 3.5)
          const { ms } = summary(list)
          figure('attention', {
            heads,
            tokens,
            channels,
            backend,
            chosen,
            what,
            ...summary(list),
            teraflops: work / ms / 1e9,
          })
        }
      } catch (error) {
        figure('attention', {
          heads,
          tokens,
          channels,
          backend,
          chosen,
          error: String(error.message).slice(0, 300),
        })
        await torch.synchronize(device).catch(() => undefined)
      }
    }
    torch.cuda.setOptions({ attention: before.attention })
  }
}

const network = tiny
  ? {
      landmarks: 19,
      encoderChannels: [32, 32],
      decoderChannels: [32, 32],
      resBlocks: 1,
      attention: [],
      middleAttention: false,
      dropout: 0,
    }
  : { landmarks: 19, attention: [4, 8], dropout: 0 }
const [height, width] = tiny ? [32, 32] : [800, 640]

/** The paper's network and one example of its training, on the device. */
function example() {
  torch.manualSeed(0)
  const model = new UNet(network).to(device)
  const image = torch.rand([1, 1, height, width], { device }).mul(2).sub(1)
  const target = torch.randint(0, height * width, [1, 19], { dtype: 'int64', device })
  const mask = torch.ones([1, 19], { device })
  const t = torch.randint(0, 200, [1], { dtype: 'int64', device })
  const noise = torch.randn([1, 19, height, width], { device })
  return { model, image, target, mask, t, noise }
}

const autocast = (on, fn) =>
  on ? torch.autocast(device.startsWith('cuda') ? 'cuda' : 'cpu', 'bfloat16', fn) : fn()

/** Pairs of medians, the ratio of which is taken round by round. */
function ratio(ours, theirs) {
  return quantile(
    theirs.map((time, i) => time / ours[i]),
    0.5,
  )
}

/** What was measured here before, when a stage that ran out of time is done again. */
function isKnown(wanted) {
  if (!values.figures || !existsSync(values.figures)) return false
  const lines = readFileSync(values.figures, 'utf8').trim().split('\n').filter(Boolean)
  return lines
    .map((line) => JSON.parse(line))
    .filter((found) => typeof found.ratio === 'number')
    .some((found) => Object.entries({ ...wanted, device, tiny }).every(([k, v]) => found[k] === v))
}

/** Our own forward pass and training step, as programs, on one model; `half` in bfloat16 by autocast. */
function ownSides({ model, image, target, mask, t, noise }, half) {
  const objective = new X0Objective(new NoiseSchedule({ timesteps: 200 }), { device })
  const optimizer = new torch.optim.AdamW(model.parameters(), { lr: 1e-4, weightDecay: 1e-4 })
  const work = {
    step: () => {
      const { loss } = autocast(half, () =>
        objective.loss(model, { image, target, mask }, { t, noise }),
      )
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    },
    forward: () => torch.noGrad(() => autocast(half, () => model.denoise(noise, image, t))),
  }
  const programs = { step: torch.program(work.step), forward: torch.program(work.forward) }
  return { work, programs }
}

const disposing = (program) => async () => (await program()).dispose()

/** Forward passes and training steps beside PyTorch's own, which runs in a process of its own on the same device. */
async function besidePyTorch(modes) {
  torch.cuda.setOptions({ cudnnBenchmark: true, tf32Convolutions: true, tf32Matmul: true })
  const given = example()
  const { model, image, target, mask, t, noise } = given
  const folder = mkdtempSync(join(tmpdir(), 'gpu-step-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const weights = Object.fromEntries(
    [...model.namedParameters()].map(([name, p]) => [`weights.${name}`, p]),
  )
  await torch.save(join(folder, 'step.safetensors'), { ...weights, image, target, mask, t, noise })
  writeFileSync(join(folder, 'step.json'), JSON.stringify({ ...network, device, lr: 1e-4 }))
  const python = startPython(folder)
  const objective = new X0Objective(new NoiseSchedule({ timesteps: 200 }), { device })
  const first = await torch.scopeAsync(async () =>
    objective.loss(model, { image, target, mask }, { t, noise }).loss.item(),
  )
  const hello = await python.ask({ loss: true })
  if (hello) {
    figure('first loss', { ours: first, pytorch: hello.loss, torch: hello.torch })
    if (!(Math.abs(first - hello.loss) / Math.abs(hello.loss) < 5e-3))
      throw new Error('the losses differ: nothing to compare')
  }
  const calls = tiny ? 1 : 5
  const sides = { float32: ownSides(given, false), bfloat16: ownSides(given, true) }
  for (const { mode, precision } of modes) {
    if (isKnown({ name: 'beside PyTorch', what: 'forward', mode, precision })) continue
    const own = precision === 'float32' ? sides.float32 : sides.bfloat16
    for (const program of Object.values(own.programs)) {
      for (let i = 0; i < 5; i++) await disposing(program)()
    }
    const built = hello && (await python.ask({ build: { mode, precision } }))
    for (const what of ['step', 'forward']) {
      const [ours, theirs] = [[], []]
      for (let round = 0; round < rounds; round++) {
        ours.push(await timed(disposing(own.programs[what]), calls))
        if (!built || built.error) continue
        const answer = await python.ask({ time: what, calls })
        if (answer?.ms) theirs.push(answer.ms)
      }
      figure('beside PyTorch', {
        what,
        mode,
        precision,
        ours: summary(ours),
        pytorch: theirs.length > 0 ? summary(theirs) : null,
        ratio: theirs.length === ours.length ? ratio(ours, theirs) : null,
        error: built?.error ?? (hello ? undefined : 'no PyTorch'),
        buildSeconds: built?.seconds,
        graph: own.programs[what].stats().graph,
      })
    }
  }
  python.end()
  return { sides, compared: hello !== null }
}

const noPyTorch = 'there was no PyTorch to compare with'

async function step() {
  const modes = ['float32', 'amp', 'bfloat16'].map((precision) => ({ mode: 'eager', precision }))
  const { sides, compared } = await besidePyTorch(modes.reverse())
  for (const [precision, { work, programs }] of Object.entries(sides)) {
    const list = (await interleaved({ step: inScope(work.step) }, tiny ? 1 : 3)).step
    figure('step, operator by operator', { precision, ...summary(list) })
    figure('program of a step', { precision, ...programs.step.stats() })
  }
  figure('memory', torch.memory().devices[device] ?? torch.memory().devices.cpu)
  if (!compared) throw new Error(noPyTorch)
}

/** torch.compile takes minutes for each: the most telling first. */
async function compile() {
  const all = [
    { mode: 'compile', precision: 'bfloat16' },
    { mode: 'compile with graphs', precision: 'bfloat16' },
    { mode: 'compile', precision: 'amp' },
    { mode: 'compile', precision: 'float32' },
  ]
  const { compared } = await besidePyTorch(tiny ? all.slice(0, 1) : all)
  if (!compared) throw new Error(noPyTorch)
}

/** scripts/gpu/step.py, asked one question a line; `ask` gives null where it cannot run. */
function startPython(folder) {
  const script = fileURLToPath(new URL('./step.py', import.meta.url))
  const child = spawn(values.python, [script, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`)
      const { value, done } = await lines.next()
      if (!done) return JSON.parse(value)
      figure('PyTorch', { error: `${values.python} has no torch, or ended` })
      return null
    },
    end: () => child.stdin.end(),
  }
}

/** What a launch costs: the same small program as a graph, from the interpreter, and operator by operator. */
async function graph() {
  const x = torch.randn([1, 32, 64, 64], { device })
  const chain = (input) => {
    let y = input
    for (let i = 0; i < 100; i++) y = y.mul(0.99).add(0.01)
    return y
  }
  const programs = [true, false].map((on) => torch.program(chain, { passes: { cudaGraph: on } }))
  const call = (program) => async () => (await program(x)).dispose()
  const times = await interleaved(
    {
      graph: call(programs[0]),
      interpreter: call(programs[1]),
      operators: inScope(() => chain(x)),
    },
    tiny ? 2 : 20,
  )
  for (const [side, list] of Object.entries(times)) {
    figure('200 operators', { side, ...summary(list), microsecondsEach: summary(list).ms * 5 })
  }
  figure('200 operators', { graph: programs[0].stats().graph })
}

/** One image in all its steps, as `predict` does it, and several at once. */
async function sampling() {
  torch.cuda.setOptions({ cudnnBenchmark: true })
  const steps = tiny ? 3 : 200
  const model = new UNet(network).to(device)
  model.eval()
  const pixels = (batch) =>
    Uint8Array.from({ length: batch * width * height }, (_, i) => (i * 31) % 256)
  for (const [precision, batch] of [
    ['bfloat16', 1],
    ['bfloat16', 4],
    ['float32', 1],
  ]) {
    const config = loadConfig({
      preset: 'paper',
      set: [`data.width=${width}`, `data.height=${height}`, `sampling.precision=${precision}`],
    })
    const predictor = new Predictor(model, config)
    const images = pixels(batch)
    const seeds = Array.from({ length: batch }, (_, i) => i)
    const once = () => predictor.predict(images, { steps, seeds })
    const times = []
    for (let i = 0; i < 3; i++) times.push(await timed(once, 1))
    figure('sampling', { steps, batch, precision, first: times[0], ...summary(times.slice(1)) })
    figure('program of an evaluation', { batch, precision, ...predictor.programs })
    predictor[Symbol.dispose]()
  }
  model.dispose()
}

const stages = {
  checks: runChecks,
  kernels: () => kernels({ device, tiny, figure, interleaved, summary, inScope }),
  attention,
  step,
  compile,
  graph,
  sampling,
}
if (!Object.hasOwn(stages, stage)) {
  console.error(`There is no stage '${stage}'; there are ${Object.keys(stages).join(', ')}.`)
  process.exit(2)
}
await torch.scopeAsync(stages[stage])
