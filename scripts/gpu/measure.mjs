// The measurements of scripts/gpu-check: node scripts/gpu/measure.mjs STAGE --device cuda:0 --figures FILE [--tiny].
// Each figure is a line of JSON, written as soon as it is known. Times are medians over rounds of calls between two
// waits for the device; where there are two sides, their rounds alternate.
import { spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NoiseSchedule, Sampler, UNet, X0Objective } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import { checks } from './checks.mjs'

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

/** The shapes of the paper's network that hold most of the elements, [channels, height, width]. */
const normShapes = tiny
  ? [[32, 40, 32]]
  : [
      [32, 800, 640],
      [64, 400, 320],
      [128, 200, 160],
      [256, 100, 80],
      [256, 50, 40],
      [512, 25, 20],
    ]

async function groupNorm() {
  if (!torch.ops().includes('landmark_diffusion::group_norm_silu')) return
  for (const [c, h, w] of normShapes) {
    const x = torch
      .randn([1, c, h, w], { device })
      .to('bfloat16')
      .contiguous({ memoryFormat: 'channels_last' })
    const [weight, bias] = [torch.ones([c], { device }), torch.zeros([c], { device })]
    const [w16, b16] = [weight.to('bfloat16'), bias.to('bfloat16')]
    const dy = torch
      .randn([1, c, h, w], { device })
      .to('bfloat16')
      .contiguous({ memoryFormat: 'channels_last' })
    const own = (a, p, q) =>
      torch.call('landmark_diffusion::group_norm_silu', [a, p, q, 32, 1e-6])[0]
    const aten = (a, p, q) => torch.silu(torch.groupNorm(a, 32, p, q, 1e-6))
    const both = (make, p, q) => () =>
      torch.scope(() => {
        const inputs = [x, p, q].map((each) => each.detach().requiresGrad_())
        torch.grad([make(...inputs)], inputs, { gradOutputs: [dy] })
      })
    const times = await interleaved(
      {
        own: inScope(() => torch.noGrad(() => own(x, weight, bias))),
        aten: inScope(() => torch.noGrad(() => aten(x, w16, b16))),
        'own, with backward': both(own, weight, bias),
        'aten, with backward': both(aten, w16, b16),
      },
      tiny ? 2 : 20,
    )
    for (const [side, list] of Object.entries(times)) {
      const forward = !side.includes('backward')
      // Least traffic: x twice and y once; backward x and dy twice, dx once.
      const bytes = c * h * w * 2 * (forward ? 3 : 8)
      const { ms } = summary(list)
      figure('group norm', {
        side,
        shape: [c, h, w],
        ...summary(list),
        gigabytesPerSecond: bytes / ms / 1e6,
      })
    }
  }
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

/** Forward passes and training steps beside PyTorch's own, which runs in a process of its own on the same device. */
async function step() {
  torch.cuda.setOptions({ cudnnBenchmark: true, tf32Convolutions: true, tf32Matmul: true })
  const { model, image, target, mask, t, noise } = example()
  const folder = mkdtempSync(join(tmpdir(), 'gpu-step-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const weights = Object.fromEntries(
    [...model.namedParameters()].map(([name, p]) => [`weights.${name}`, p]),
  )
  await torch.save(join(folder, 'step.safetensors'), { ...weights, image, target, mask, t, noise })
  writeFileSync(join(folder, 'step.json'), JSON.stringify({ ...network, device, lr: 1e-4 }))
  const objective = new X0Objective(new NoiseSchedule({ timesteps: 200 }), {})
  const optimizer = new torch.optim.AdamW(model.parameters(), { lr: 1e-4, weightDecay: 1e-4 })
  const train = (half) => {
    const { loss } = autocast(half, () =>
      objective.loss(model, { image, target, mask }, { t, noise }),
    )
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step()
    optimizer.zeroGrad()
    return loss.detach()
  }
  const first = await torch.scopeAsync(async () =>
    autocast(false, () => objective.loss(model, { image, target, mask }, { t, noise }).loss.item()),
  )
  const python = startPython(folder)
  const hello = await python.ask({ loss: true })
  if (hello) {
    figure('first loss', { ours: first, pytorch: hello.loss, torch: hello.torch })
    if (!(Math.abs(first - hello.loss) / Math.abs(hello.loss) < 5e-3))
      throw new Error('the losses differ: nothing to compare')
  }
  const calls = tiny ? 1 : 5
  for (const half of [false, true]) {
    const program = torch.program(() => train(half))
    const sides = {
      'ours, operator by operator': inScope(() => train(half)),
      'ours, program': async () => {
        const loss = await program()
        loss.dispose()
      },
      'ours, forward': inScope(() =>
        torch.noGrad(() => autocast(half, () => model.denoise(noise, image, t))),
      ),
    }
    for (const [side, list] of Object.entries(await interleaved(sides, calls))) {
      figure('step', { side, precision: half ? 'bfloat16' : 'float32 (TF32)', ...summary(list) })
    }
    figure('program', { precision: half ? 'bfloat16' : 'float32 (TF32)', ...program.stats() })
    program.dispose()
  }
  const modes = tiny
    ? [{ mode: 'eager', precision: 'float32' }]
    : ['eager', 'compile'].flatMap((mode) =>
        ['float32', 'amp', 'bfloat16'].map((precision) => ({ mode, precision })),
      )
  for (const mode of modes) {
    const answer = await python.ask({ ...mode, rounds, calls })
    if (!answer) break
    for (const what of ['step', 'forward']) {
      if (answer[what])
        figure('step', {
          side: `PyTorch ${answer.torch} ${mode.mode}, ${what}`,
          precision: mode.precision,
          ...summary(answer[what]),
          prepareSeconds: answer.seconds,
        })
    }
    if (answer.error)
      figure('step', {
        side: `PyTorch ${mode.mode}`,
        precision: mode.precision,
        error: answer.error,
      })
  }
  python.end()
  figure('memory', torch.memory().devices[device] ?? torch.memory().devices.cpu)
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

/** One image in all its steps, with the sampler as it is. */
async function sampling() {
  torch.cuda.setOptions({ cudnnBenchmark: true })
  const { model, image } = example()
  model.eval()
  const steps = tiny ? 3 : 200
  const sampler = new Sampler(new NoiseSchedule({ timesteps: tiny ? 10 : 200 }), { steps })
  for (const half of [false, true]) {
    const times = []
    for (let i = 0; i < (tiny ? 2 : 4); i++) {
      times.push(
        await timed(
          () =>
            torch.scopeAsync(() =>
              autocast(half, async () => void (await sampler.sample(model, image))),
            ),
          1,
        ),
      )
    }
    figure('sampling', {
      steps,
      precision: half ? 'bfloat16' : 'float32',
      ...summary(times.slice(1)),
    })
  }
}

const stages = { checks: runChecks, 'group-norm': groupNorm, attention, step, graph, sampling }
if (!Object.hasOwn(stages, stage)) {
  console.error(`There is no stage '${stage}'; there are ${Object.keys(stages).join(', ')}.`)
  process.exit(2)
}
await torch.scopeAsync(stages[stage])
