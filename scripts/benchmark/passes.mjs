// What each pass and each kernel is worth: the same program with it and without, taking turns.
//   landmark-diffusion benchmark passes --json docs/benchmarks/passes.json
import { oneHotHeatmaps, UNet, Upsample } from 'landmark-diffusion'
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
    ['--only <text>', 'rows whose name has this text', String, ''],
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

/**
 * The paper's network: weights kept transformed or not; h and skip connections read apart, or joined before; images
 * doubled before a convolution, or not.
 */
function unet() {
  const model = new UNet({ landmarks: 19, dropout: 0, attention: [8, 16] })
  const [x, t] = [torch.randn([1, 20, ...size]), torch.randint(0, 200, [1])]
  const ups = [...model.modules()].filter((module) => module instanceof Upsample)
  const program = (fn, { joins = null, doubles = null, ...passes }) => {
    const recorded = (x, t) => {
      model.joins = joins
      for (const up of ups) up.doubles = doubles
      return fn(x, t)
    }
    return repeat(torch.program(recorded, { passes }), x, t)
  }
  const forward = (options) => program((x, t) => torch.noGrad(() => model.forward(x, t)), options)
  const pass = (options) =>
    program((x, t) => {
      const loss = model.forward(x, t).square().mean()
      loss.backward()
      for (const parameter of model.parameters()) parameter.grad = null
      return loss
    }, options)
  return [
    {
      what: 'preparedWeights, U-Net forward',
      on: forward({}),
      off: forward({ preparedWeights: false }),
    },
    { what: 'no joins, U-Net forward', on: forward({}), off: forward({ joins: true }) },
    { what: 'no joins, U-Net forward and backward', on: pass({}), off: pass({ joins: true }) },
    { what: 'nothing doubled, U-Net forward', on: forward({}), off: forward({ doubles: true }) },
    {
      what: 'nothing doubled, U-Net forward and backward',
      on: pass({}),
      off: pass({ doubles: true }),
    },
  ]
}

/** Gradients of an `nn` layer that convolves a doubled image of 64 channels. */
function upsampling() {
  const channels = 64
  const conv = new nn.Conv2d(channels, channels, 3, { padding: 1 })
  const x = lastChannels(torch.randn([1, channels, size[0] / 2, size[1] / 2])).requiresGrad_()
  const pass = (passes) =>
    repeat(
      torch.program(
        () => {
          const loss = conv.forward(nn.functional.upsampleNearest(x)).square().mean()
          const [dx] = torch.grad([loss], [x, ...conv.parameters()])
          return dx
        },
        { passes },
      ),
    )
  return [
    {
      what: 'upsampleConvolution, gradients of an nn layer',
      on: pass({ convolution: true, upsampleConvolution: true }),
      off: pass({ convolution: true }),
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
      what: 'upsample_conv2d',
      on: quietly((x) => own('upsample_conv2d', [x, weight, bias])),
      off: quietly((x) =>
        torch.conv2d(torch.nn.functional.upsampleNearest(x), weight, bias, [1, 1], [1, 1]),
      ),
    },
    {
      what: 'group_norm_silu',
      on: quietly((x) => own('group_norm_silu', [x, bias, bias, 32, 1e-6])[0]),
      off: quietly((x) => torch.silu(torch.groupNorm(x, 32, bias, bias, 1e-6))),
    },
  ]
}

/** Dropout and its gradient, of what the network's largest level holds. */
function dropouts() {
  const x = lastChannels(torch.randn([1, 32, ...size])).requiresGrad_()
  const ones = lastChannels(torch.ones([1, 32, ...size]))
  const gradient = (of) =>
    repeat(torch.program(() => torch.grad([of(x)], [x], { gradOutputs: [ones] })[0]))
  return [
    {
      what: 'dropout and its gradient',
      on: gradient((x) => own('dropout', [x, 0.1])[0]),
      off: gradient((x) => torch.dropout(x, 0.1, true)),
    },
  ]
}

/** The loss of 19 heatmaps and its gradient. */
function losses() {
  const points = [1, 19]
  const logits = torch.randn([1, 19, ...size]).requiresGrad_()
  const target = torch.randint(0, size[0] * size[1], points)
  const mask = torch.ones(points)
  const x0 = oneHotHeatmaps(target, mask, { height: size[0], width: size[1] })
  const gradient = (of) =>
    repeat(
      torch.program(() => {
        const [nll, mse] = of()
        const [gradient] = torch.grad([nll.add(mse.mul(0.01))], [logits])
        return gradient
      }),
    )
  const byOperators = () => {
    const at = logits.flatten(2).logSoftmax(2).gather(2, target.unsqueeze(2)).squeeze(2)
    return [at.mean().neg(), logits.sub(x0).square().mean()]
  }
  return [
    {
      what: 'spatial_softmax_loss and its gradient',
      on: gradient(() => own('spatial_softmax_loss', [logits, target, mask])),
      off: gradient(byOperators),
    },
  ]
}

/** AdamW and the moving average of all weights of the paper's network. */
function optimizers() {
  const model = new UNet({ landmarks: 19 })
  const self = [...model.parameters()].map((parameter) => parameter.detach())
  const like = () => self.map((parameter) => parameter.mul(0.01).square())
  const [grads, m, v, averages] = [like(), like(), like(), like()]
  const steps = self.map(() => torch.full([], 3, { dtype: 'float32' }))
  const hyper = { lr: 1e-4, beta1: 0.9, beta2: 0.999, weight_decay: 0.01, eps: 1e-8 }
  const share = torch.full([], 1e-3)
  const update = (fn) =>
    repeat(
      torch.program(() =>
        torch.noGrad(() => {
          fn()
          return share.clone()
        }),
      ),
    )
  return [
    {
      what: 'fused_adamw_ema_',
      on: update(() =>
        torch.call('landmark_diffusion::fused_adamw_ema_', [self, grads, m, v, averages, steps], {
          ...hyper,
          ema_weight: 1e-3,
        }),
      ),
      off: update(() => {
        torch.call('aten::_fused_adamw_', [self, grads, m, v, [], steps], {
          ...hyper,
          amsgrad: false,
          maximize: false,
        })
        const shares = self.map(() => share)
        torch.call('aten::_foreach_lerp_.List', [averages, self, shares])
      }),
    },
  ]
}

/** What the operators' results need at most. */
const peak = ({ program }) => program.stats().peakBytes / 2 ** 20

const rows = []
for (const make of [unet, layers, upsampling, kernels, dropouts, losses, optimizers]) {
  for (const { what, on, off } of make()) {
    if (!what.includes(values.only)) continue
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
      'MiB with': peak(on),
      'MiB without': peak(off),
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
