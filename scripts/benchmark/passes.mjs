// What each pass and each kernel is worth: the same program with it and without, taking turns.
//   landmark-diffusion benchmark passes --json docs/benchmarks/passes.json
import { UNet } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'
import { positiveInteger } from '#lib/cli/command.js'
import {
  median,
  printTable,
  quantile,
  readOptions,
  refuseBusyMachine,
  writeJson,
} from './measure.js'

const values = await readOptions({
  name: 'passes',
  examples: ['', '--rounds 20 --json docs/benchmarks/passes.json'],
  options: [
    ['--rounds <n>', 'turns of each', positiveInteger, 10],
    ['--block <n>', 'repetitions in a turn, after one that does not count', positiveInteger, 3],
    ['--threads <n>', 'threads of an operator', positiveInteger, 2],
  ],
})
refuseBusyMachine(values.force)
torch.setNumThreads(values.threads)
torch.manualSeed(0)
const { nn, optim } = torch
const size = [192, 160]

const own = (name, args) => torch.call(`landmark_diffusion::${name}`, args)
const lastChannels = (x) => torch.call('aten::contiguous', [x], { memory_format: 'channels_last' })
const repeat = (program, ...inputs) => ({ program, run: () => program(...inputs) })

/** The paper's network without gradients, whose weights are kept transformed or not. */
function unet() {
  const model = new UNet({ landmarks: 19, dropout: 0, attention: [8, 16] })
  model.eval()
  const [x, t] = [torch.randn([1, 20, ...size]), torch.randint(0, 200, [1])]
  const forward = (passes) =>
    repeat(
      torch.program((x, t) => torch.noGrad(() => model.forward(x, t)), { passes }),
      x,
      t,
    )
  return [
    {
      what: 'preparedWeights, U-Net forward',
      on: forward({}),
      off: forward({ preparedWeights: false }),
    },
  ]
}

/** A training step of four residual blocks' worth of `nn` layers, 64 channels at half the size. */
function layers() {
  const channels = 64
  const x = lastChannels(torch.randn([1, channels, size[0] / 2, size[1] / 2]))
  const stepper = (passes) => {
    const blocks = [0, 1, 2, 3].map(
      () =>
        new nn.Sequential(
          new nn.GroupNorm(32, channels),
          new nn.SiLU(),
          new nn.Conv2d(channels, channels, 3, { padding: 1 }),
          new nn.GroupNorm(32, channels),
          new nn.SiLU(),
          new nn.Conv2d(channels, channels, 3, { padding: 1 }),
        ),
    )
    const model = new nn.ModuleList(blocks)
    const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-4 })
    const step = (x) => {
      const y = blocks.reduce((h, block) => h.add(block.forward(h)), x)
      const loss = y.square().mean()
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss
    }
    return repeat(torch.program(step, { passes }), x)
  }
  const both = { groupNormSilu: true, convolution: true }
  return [
    {
      what: 'groupNormSilu, step of nn layers',
      on: stepper(both),
      off: stepper({ ...both, groupNormSilu: false }),
    },
    {
      what: 'convolution, step of nn layers',
      on: stepper(both),
      off: stepper({ ...both, convolution: false }),
    },
  ]
}

/** Operators of ours beside libtorch's, on what the network's largest level holds. */
function kernels() {
  const channels = 64
  const x = lastChannels(torch.randn([1, channels, ...size]))
  const weight = torch.randn([channels, channels, 3, 3]).mul(0.05)
  const bias = torch.randn([channels])
  const quietly = (fn) =>
    repeat(
      torch.program((x) => torch.noGrad(() => fn(x))),
      x,
    )
  return [
    {
      what: 'conv2d with bias and residual',
      on: quietly((x) => own('conv2d', [x, weight, bias, x, 1, 1])),
      off: quietly((x) => torch.conv2d(x, weight, bias, 1, 1).add(x)),
    },
    {
      what: 'group_norm_silu',
      on: quietly((x) => own('group_norm_silu', [x, bias, bias, 32, 1e-6])[0]),
      off: quietly((x) => torch.silu(torch.groupNorm(x, 32, bias, bias, 1e-6))),
    },
  ]
}

const rows = []
for (const pairs of [unet, layers, kernels].map((make) => make())) {
  for (const { what, on, off } of pairs) {
    const times = { on: [], off: [] }
    for (let round = 0; round < values.rounds; round++) {
      for (const [name, { run }] of [
        ['on', on],
        ['off', off],
      ]) {
        for (let i = 0; i <= values.block; i++) {
          const begin = performance.now()
          ;(await run()).dispose()
          await torch.synchronize()
          // The first calls record.
          if (i > 0 && round > 0) times[name].push(performance.now() - begin)
        }
      }
    }
    rows.push({
      what,
      'with, ms': median(times.on),
      'without, ms': median(times.off),
      gain: median(times.off) / median(times.on),
      'quartiles with': `${quantile(times.on, 0.25).toFixed(2)}-${quantile(times.on, 0.75).toFixed(2)}`,
      'quartiles without': `${quantile(times.off, 0.25).toFixed(2)}-${quantile(times.off, 0.75).toFixed(2)}`,
    })
    on.program.dispose()
    off.program.dispose()
  }
}
printTable(`Passes and kernels, fp32, batch 1, ${values.threads} threads: milliseconds`, rows)
writeJson(values.json, {
  benchmark: 'passes',
  threads: values.threads,
  rounds: values.rounds,
  rows,
})
process.exit(0)
