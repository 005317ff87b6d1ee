/** Passes that replace operators by fused ones: they find what they look for, and change no result. */
import { afterEach, describe, expect, it } from 'vitest'
import * as nn from '#lib/nn/index.js'
import { AdamW } from '#lib/optim/index.js'
import * as torch from '#lib/torch/index.js'
import { expectNear, laidOut } from '../native/kernels/compare.js'

afterEach(() => torch.synchronize())

const passes = { groupNormSilu: true, convolution: true }
const off = { groupNormSilu: false, convolution: false }

function network(): nn.Sequential {
  torch.manualSeed(7)
  return new nn.Sequential(
    new nn.Conv2d(3, 8, 3, { padding: 1 }),
    new nn.GroupNorm(2, 8),
    new nn.SiLU(),
    new nn.Conv2d(8, 8, 1),
  )
}

const picture = () => laidOut(torch.randn([2, 3, 16, 20]), 'channels_last')

/** One training step, its loss and the weights after it. */
function stepOf(passes: Record<string, boolean>) {
  const model = network()
  const optimizer = new AdamW(model.parameters(), { lr: 1e-2 })
  const step = torch.program(
    (x: torch.Tensor) => {
      const loss = model.forward(x).square().mean()
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss
    },
    { passes },
  )
  return { model, step }
}

describe('passes over a training step', () => {
  it('give the losses and weights of the operators that they replace', async () => {
    const [fused, plain] = [stepOf(passes), stepOf(off)]
    for (let i = 0; i < 3; i++) {
      torch.manualSeed(i)
      const x = picture()
      await expectNear([await fused.step(x)], [await plain.step(x)], 1e-5)
    }
    await expectNear([...fused.model.parameters()], [...plain.model.parameters()], 1e-5)
  })

  it('leave none of the operators that they replace', async () => {
    const replaced = /aten::(silu|native_group_norm|convolution)/
    const [fused, plain] = [stepOf(passes), stepOf(off)]
    for (const { step } of [fused, plain]) await step(picture())
    expect(plain.step.toString()).toMatch(replaced)
    expect(fused.step.toString()).not.toMatch(replaced)
    for (const name of [
      'group_norm_silu',
      'group_norm_silu_backward',
      'conv2d',
      'conv2d_backward',
    ]) {
      expect(fused.step.toString()).toContain(`landmark_diffusion::${name}(`)
    }
  })
})

describe('the pass for group norm and SiLU', () => {
  it('leaves a norm alone whose result is used elsewhere too', async () => {
    const norm = new nn.GroupNorm(2, 4)
    const f = torch.program(
      (x: torch.Tensor) => {
        const y = norm.forward(x)
        return torch.silu(y).add(y)
      },
      { passes },
    )
    const x = torch.randn([1, 4, 5, 5])
    const [y, again] = [await f(x), norm.forward(x)]
    expect(f.toString()).toContain('native_group_norm')
    await expectNear([y], [torch.silu(again).add(again)], 1e-6)
  })
})

describe('the pass for convolutions', () => {
  it('takes a sum with the result into the convolution', async () => {
    const conv = new nn.Conv2d(3, 3, 3, { padding: 1 })
    const f = torch.program(
      (x: torch.Tensor) => torch.noGrad(() => x.add(conv.forward(x.mul(2)))),
      { passes },
    )
    const x = picture()
    await expectNear([await f(x)], [x.add(conv.forward(x.mul(2)))], 1e-6)
    expect(f.toString()).not.toContain('aten::add')
  })

  it('does not take it past a write to what the convolution reads', async () => {
    const conv = new nn.Conv2d(3, 3, 3, { padding: 1 })
    const run = (x: torch.Tensor) =>
      torch.noGrad(() => {
        const twice = x.mul(2)
        const y = conv.forward(twice)
        twice.zero_()
        return y.add(x)
      })
    const f = torch.program(run, { passes })
    const x = picture()
    await expectNear([await f(x)], [run(x)], 1e-6)
  })

  it('leaves convolutions of rows, of groups and of two strides alone', async () => {
    for (const [conv, x] of [
      [new nn.Conv2d(3, 3, 3), torch.randn([1, 3, 8, 9])],
      [new nn.Conv2d(4, 4, 3, { groups: 2 }), laidOut(torch.randn([1, 4, 8, 9]), 'channels_last')],
      [new nn.Conv2d(3, 3, 3, { stride: [1, 2] }), picture()],
    ] as const) {
      const f = torch.program((x: torch.Tensor) => torch.noGrad(() => conv.forward(x)), { passes })
      await f(x)
      expect(f.toString()).toContain('aten::convolution')
    }
  })
})

describe('the pass for upsampling within a convolution', () => {
  const passes = { convolution: true, upsampleConvolution: true }
  const wide = (x: torch.Tensor) => nn.functional.upsampleNearest(x)

  function step(passes: Record<string, boolean>) {
    torch.manualSeed(7)
    const down = new nn.Conv2d(3, 8, 3, { stride: 2, padding: 1 })
    const up = new nn.Conv2d(8, 4, 3, { padding: 1 })
    const model = new nn.ModuleList([down, up])
    const optimizer = new AdamW(model.parameters(), { lr: 1e-2 })
    const program = torch.program(
      (x: torch.Tensor) => {
        const loss = up
          .forward(wide(down.forward(x)))
          .square()
          .mean()
        loss.backward()
        optimizer.step()
        optimizer.zeroGrad()
        return loss
      },
      { passes },
    )
    return { model, program }
  }

  it.each([
    [16, 20],
    [40, 48],
  ])('gives the losses and weights of a doubled picture, from %d x %d', async (height, width) => {
    const [within, apart] = [step(passes), step({ convolution: true })]
    for (let i = 0; i < 3; i++) {
      const x = laidOut(torch.randn([2, 3, height, width]), 'channels_last')
      await expectNear([await within.program(x)], [await apart.program(x)], 1e-5)
    }
    await expectNear([...within.model.parameters()], [...apart.model.parameters()], 1e-5)
    expect(apart.program.toString()).toContain('aten::upsample_nearest2d')
    expect(within.program.toString()).not.toContain('aten::upsample_nearest2d')
    for (const name of ['upsample_conv2d', 'upsample_conv2d_backward'])
      expect(within.program.toString()).toContain(`landmark_diffusion::${name}(`)
  })

  const up = new nn.Conv2d(3, 3, 3, { padding: 1 })
  const one = new nn.Conv2d(3, 3, 1)
  const keeps: [string, (x: torch.Tensor) => torch.Tensor][] = [
    [
      'that is used elsewhere too',
      (x) => {
        const y = wide(x)
        return up.forward(y).mul(y)
      },
    ],
    [
      'that is added to the result',
      (x) => {
        const y = wide(x)
        return up.forward(y).add(y)
      },
    ],
    ['for a filter of 1 x 1', (x) => one.forward(wide(x))],
    ['that is three times as large', (x) => up.forward(nn.functional.upsampleNearest(x, 3))],
    [
      'of a picture that is written to before the convolution',
      (x) => {
        const small = x.mul(2)
        const y = wide(small)
        small.zero_()
        return up.forward(y)
      },
    ],
  ]
  it.each(keeps)('leaves a doubled picture alone %s', async (_, f) => {
    const run = (x: torch.Tensor) => torch.noGrad(() => f(x))
    const program = torch.program(run, { passes })
    const x = laidOut(torch.randn([2, 3, 16, 20]), 'channels_last')
    await expectNear([await program(x)], [run(x)], 1e-5)
    expect(program.toString()).toContain('aten::upsample_nearest2d')
  })
})
